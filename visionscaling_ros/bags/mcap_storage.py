"""Writes MCAP: messages go to the file as they are, without being copied on the way.

Format: https://mcap.dev/spec; profile ``ros2``: https://mcap.dev/spec/registry.
"""

from __future__ import annotations

import errno
import os
import struct
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

MAGIC = b'\x89MCAP0\r\n'
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
MESSAGE_INDEX, CHUNK_INDEX, STATISTICS, METADATA = 0x07, 0x08, 0x0B, 0x0C
METADATA_INDEX, SUMMARY_OFFSET, DATA_END = 0x0D, 0x0E, 0x0F
MESSAGE_HEAD = struct.Struct('<BQHIQQ')  # opcode, length, channel, sequence, log and publish time
MESSAGE_FIELDS_BYTES = MESSAGE_HEAD.size - 9  # what the length counts besides the data

BUFFERS_A_CALL = 1024  # IOV_MAX of Linux
NEVER_NS = 2**63 - 1

Buffer = bytes | memoryview


def record(opcode: int, content: bytes) -> bytes:
    """A record of the file."""
    return struct.pack('<BQ', opcode, len(content)) + content


def text(value: str) -> bytes:
    """A string, its length before it."""
    encoded = value.encode()
    return struct.pack('<I', len(encoded)) + encoded


def mapping(entries: dict[str, str]) -> bytes:
    """A map of strings, its length before it."""
    content = b''.join(text(part) for pair in entries.items() for part in pair)
    return struct.pack('<I', len(content)) + content


@dataclass
class _OpenChunk:
    """Records that are not in the file yet."""

    buffers: list[Buffer] = field(default_factory=list)
    size: int = 0
    begin_ns: int = NEVER_NS
    end_ns: int = 0
    index: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    messages: int = 0


class McapFile:
    """An MCAP file in the making.

    What ``write`` was given is in the file, as a chunk of it, after the next ``flush``; the data
    must not change until then.

    :param path: of the file; must not exist.
    :param compress: of a chunk's records, for instance by zstd; ``compression``: its name.
    """

    def __init__(
        self,
        path: Path,
        compress: Callable[[bytes], bytes] | None = None,
        compression: str = '',
    ) -> None:
        self.path = path
        self._compress = compress
        self._compression = compression
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._offset = 0
        self._schemas: list[bytes] = []
        self._schema_numbers: dict[str, int] = {}
        self._channels: list[bytes] = []
        self._counts: dict[int, int] = {}
        self._chunk_indexes: list[bytes] = []
        self._chunk_counts: list[tuple[int, dict[int, int]]] = []  # where it begins, its messages
        self._begin_ns, self._end_ns = NEVER_NS, 0
        self._chunk = _OpenChunk()
        library = f'rosbags-{version("rosbags")}'
        self._append([MAGIC, record(HEADER, text('ros2') + text(library))])

    @property
    def size(self) -> int:
        """Size of what is in the file [B]."""
        return self._offset

    def add_schema(self, name: str, encoding: str, definition: str) -> None:
        """A message type; ``encoding``: ``ros2msg`` or ``ros2idl``."""
        number = self._schema_numbers[name] = len(self._schemas) + 1
        content = struct.pack('<H', number) + text(name) + text(encoding) + text(definition)
        self._schemas.append(record(SCHEMA, content))
        self._hold(self._schemas[-1])

    def add_channel(
        self, number: int, topic: str, schema: str, encoding: str, metadata: dict[str, str]
    ) -> None:
        """A topic; ``number``: what ``write`` calls it."""
        head = struct.pack('<HH', number, self._schema_numbers[schema])
        content = head + text(topic) + text(encoding) + mapping(metadata)
        self._channels.append(record(CHANNEL, content))
        self._counts[number] = 0
        self._hold(self._channels[-1])

    def write(self, channel: int, log_ns: int, data: Buffer) -> None:
        """A message."""
        chunk = self._chunk
        chunk.index[channel] += (log_ns, chunk.size)
        chunk.begin_ns, chunk.end_ns = min(chunk.begin_ns, log_ns), max(chunk.end_ns, log_ns)
        size = len(data)
        self._hold(
            MESSAGE_HEAD.pack(MESSAGE, MESSAGE_FIELDS_BYTES + size, channel, 0, log_ns, log_ns)
        )
        chunk.buffers.append(data)
        chunk.size += size
        chunk.messages += 1

    def flush(self) -> None:
        """Put what was written so far into the file; all of it, or nothing and OSError."""
        if not self._chunk.buffers:
            return
        chunk, self._chunk = self._chunk, _OpenChunk()
        begin_ns = chunk.begin_ns if chunk.messages else 0
        buffers = chunk.buffers
        if self._compress is not None:
            buffers = [self._compress(b''.join(buffers))]
        stored = sum(map(len, buffers))
        head = struct.pack('<QQQI', begin_ns, chunk.end_ns, chunk.size, 0)  # 0: no checksum
        head += text(self._compression) + struct.pack('<Q', stored)
        start = self._offset
        length = 9 + len(head) + stored
        indexes, index_offsets = [], []
        offset = start + length
        for channel, entries in chunk.index.items():
            content = struct.pack(f'<HI{len(entries)}Q', channel, 8 * len(entries), *entries)
            indexes.append(record(MESSAGE_INDEX, content))
            index_offsets.append(struct.pack('<HQ', channel, offset))
            offset += len(indexes[-1])
        self._append([struct.pack('<BQ', CHUNK, len(head) + stored) + head, *buffers, *indexes])
        counts = {channel: len(entries) // 2 for channel, entries in chunk.index.items()}
        for channel, count in counts.items():
            self._counts[channel] += count
        self._chunk_counts.append((start, counts))
        if chunk.messages:
            self._begin_ns = min(self._begin_ns, begin_ns)
            self._end_ns = max(self._end_ns, chunk.end_ns)
        self._chunk_indexes.append(
            record(
                CHUNK_INDEX,
                struct.pack('<QQQQ', begin_ns, chunk.end_ns, start, length)
                + struct.pack('<I', 10 * len(index_offsets))
                + b''.join(index_offsets)
                + struct.pack('<Q', offset - start - length)
                + text(self._compression)
                + struct.pack('<QQ', stored, chunk.size),
            )
        )

    def shed(self) -> dict[int, int]:
        """Take the last chunk out of the file to make room; messages lost by channel.

        Raises OSError when there is none.
        """
        if not self._chunk_counts:
            raise OSError(errno.ENOSPC, 'no room for an index')
        self._chunk_indexes.pop()
        self._offset, lost = self._chunk_counts.pop()
        self._cut()
        for channel, count in lost.items():
            self._counts[channel] -= count
        return lost

    def finish(self, metadata: str) -> None:
        """Write the index and close; ``metadata``: of the bag, YAML. Raises OSError, open still."""
        self.flush()
        entry = text('rosbag2') + mapping({'serialized_metadata': metadata})
        metadata_record = record(METADATA, entry)
        metadata_index = (
            struct.pack('<QQ', self._offset, len(metadata_record)) + text('rosbag2')
        )
        parts = [metadata_record, record(DATA_END, struct.pack('<I', 0))]
        summary_start = offset = self._offset + sum(map(len, parts))
        offsets = []
        for opcode, group in (
            (SCHEMA, self._schemas),
            (CHANNEL, self._channels),
            (CHUNK_INDEX, self._chunk_indexes),
            (METADATA_INDEX, [record(METADATA_INDEX, metadata_index)]),
            (STATISTICS, [record(STATISTICS, self._statistics())]),
        ):
            size = sum(map(len, group))
            if size:
                offsets.append(record(SUMMARY_OFFSET, struct.pack('<BQQ', opcode, offset, size)))
            parts += group
            offset += size
        footer = record(FOOTER, struct.pack('<QQI', summary_start, offset, 0))
        self._append([b''.join([*parts, *offsets, footer, MAGIC])])
        self.close()

    def close(self) -> None:
        """Close without index, or after ``finish``."""
        descriptor, self._file = self._file, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _statistics(self) -> bytes:
        counts = b''.join(struct.pack('<HQ', *pair) for pair in sorted(self._counts.items()))
        total = sum(self._counts.values())
        kinds = len(self._schemas), len(self._channels)
        others = 0, 1, len(self._chunk_indexes)  # attachments, metadata, chunks
        begin_ns = self._begin_ns if total else 0
        head = struct.pack('<QHIIIIQQ', total, *kinds, *others, begin_ns, self._end_ns)
        return head + struct.pack('<I', len(counts)) + counts

    def _hold(self, content: bytes) -> None:
        self._chunk.buffers.append(content)
        self._chunk.size += len(content)

    def _append(self, buffers: Sequence[Buffer]) -> None:
        """All of it, or nothing and OSError."""
        try:
            _write_all(self._file, buffers)
        except OSError:
            self._cut()
            raise
        self._offset += sum(map(len, buffers))

    def _cut(self) -> None:
        os.ftruncate(self._file, self._offset)
        os.lseek(self._file, self._offset, os.SEEK_SET)


def _write_all(descriptor: int, buffers: Sequence[Buffer]) -> None:
    left = [memoryview(buffer) for buffer in buffers if len(buffer)]
    while left:
        written = os.writev(descriptor, left[:BUFFERS_A_CALL])
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = left[0][written:]
