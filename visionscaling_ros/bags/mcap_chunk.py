"""A stretch of an MCAP file that holds messages: a chunk, or messages one after another."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, cast
from zlib import crc32

import lz4.frame  # type: ignore[import-untyped]

from visionscaling_ros.bags.mcap_records import (
    CHUNK_FIELDS,
    DamagedError,
    Readable,
    chunk_records,
    read_exactly,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WHOLE_CHUNK_BYTES = 16 * 2**20  # a larger chunk is read piece by piece, its checksum unread
FOREVER_NS = 2**64 - 1


@dataclass
class Section:
    """Where messages are.

    :param begin: offset of the content of a chunk record, or of the first of several records.
    :param end: offset behind it; of a chunk that was cut off, the end of the file.
    :param counts: number of messages by channel, as far as known.
    :param whole: False of a chunk that was cut off.
    """

    begin: int
    end: int
    start_ns: int = FOREVER_NS
    end_ns: int = 0
    chunk: bool = True
    whole: bool = True
    counts: dict[int, int] = field(default_factory=dict)

    def add(self, channel: int, log_ns: int) -> None:
        """Count a message."""
        self.counts[channel] = self.counts.get(channel, 0) + 1
        self.start_ns, self.end_ns = min(self.start_ns, log_ns), max(self.end_ns, log_ns)


class FilePart(io.RawIOBase):
    """Bytes ``begin`` to ``end`` of a file, wherever others read in it meanwhile."""

    def __init__(self, file: BinaryIO, begin: int, end: int) -> None:
        super().__init__()
        self._file, self._at, self._end = file, begin, end

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill a buffer as far as there are bytes."""
        view = memoryview(cast('bytearray', buffer))
        size = min(len(view), self._end - self._at)
        self._file.seek(self._at)
        data = self._file.read(size)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def section_records(file: BinaryIO, section: Section) -> Iterator[tuple[int, bytes]]:
    """Opcode and content of its records.

    Raises DamagedError, or what a decompressor raises, behind the last one that can be read.
    """
    if not section.chunk:
        part = io.BufferedReader(FilePart(file, section.begin, section.end))
        return chunk_records(part)
    return chunk_records(_content(file, section))


def _content(file: BinaryIO, section: Section) -> Readable:
    part = io.BufferedReader(FilePart(file, section.begin, section.end))
    _, _, size, checksum = CHUNK_FIELDS.unpack(read_exactly(part, CHUNK_FIELDS.size))
    name_size = int.from_bytes(read_exactly(part, 4), 'little')
    if name_size > 32:
        raise DamagedError('compression unknown')
    compression = read_exactly(part, name_size).decode()
    stored = int.from_bytes(read_exactly(part, 8), 'little')
    if section.whole and stored > section.end - section.begin:
        raise DamagedError('chunk longer than its record')
    stream = _decompressed(part, compression)
    if not section.whole or size > WHOLE_CHUNK_BYTES:
        return stream
    content = stream.read(size)
    if len(content) != size:
        raise DamagedError('chunk cut off')
    if checksum and crc32(content) != checksum:
        raise DamagedError('checksum of a chunk')
    return io.BytesIO(content)


def _decompressed(part: Readable, compression: str) -> Readable:
    if compression == '':
        return part
    if compression == 'zstd':
        return io.BufferedReader(cast('io.RawIOBase', zstd.ZstdFile(cast('BinaryIO', part))))
    if compression == 'lz4':
        return cast('Readable', lz4.frame.LZ4FrameFile(part))
    raise DamagedError(f'compression {compression!r} unknown')
