"""Finds the messages of an MCAP file by a walk from record to record, where it has no summary."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from visionscaling_ros.bags.mcap_chunk import FOREVER_NS, Section, section_records
from visionscaling_ros.bags.mcap_records import (
    CHUNK_FIELDS,
    MESSAGE_FIELDS,
    RECORD_HEAD,
    DamagedError,
    Fields,
    Schema,
    read_channel,
    read_exactly,
    read_message,
    read_schema,
)
from visionscaling_ros.bags.mcap_storage import (
    CHANNEL,
    CHUNK,
    DATA_END,
    FOOTER,
    MAGIC,
    MESSAGE,
    MESSAGE_INDEX,
    SCHEMA,
)
from visionscaling_ros.bags.stored import BagTopic

LOOSE_BYTES = 2**20  # messages outside chunks are taken together up to so many
MAX_DEFINITION_BYTES = 16 * 2**20
FIRST_PRIVATE_OPCODE = 0x80
NEVER_CLOSED = 'no end of file: the recorder did not close it'


@dataclass
class McapSummary:
    """Topics by channel, and the sections.

    :param start_ns: when the first message was recorded [ns]; after ``end_ns`` where there is none.
    :param damage: why the file could not be read to its end; empty when it could.
    """

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, BagTopic] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)
    start_ns: int = FOREVER_NS
    end_ns: int = 0
    damage: str = ''

    def cover(self, start_ns: int, end_ns: int) -> None:
        """There are messages from the one time to the other."""
        self.start_ns, self.end_ns = min(self.start_ns, start_ns), max(self.end_ns, end_ns)

    def take(self, opcode: int, content: bytes) -> None:
        """Take a Schema or Channel record up; any other is passed over."""
        if opcode == SCHEMA:
            number, schema = read_schema(content)
            self.schemas[number] = schema
        elif opcode == CHANNEL:
            number, topic = read_channel(content, self.schemas)
            self.channels[number] = topic


class McapWalk:
    """One walk; chunks are read through only where no index follows them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        self._found = McapSummary()
        self._chunk: Section | None = None  # the last one, while its index is being read

    def run(self) -> McapSummary:
        """What was found up to the end, or to where the file is damaged."""
        found = self._found
        at = len(MAGIC)
        self._file.seek(at)
        try:
            for opcode, begin, end in self._records():
                at = begin - RECORD_HEAD.size
                if opcode in {DATA_END, FOOTER}:
                    break
                self._take(opcode, begin, end)
                self._file.seek(end)
            else:
                found.damage = NEVER_CLOSED
        except ValueError as error:  # DamagedError and text that is none
            found.damage = f'{error} at byte {at}'
        self._settle()
        return found

    def _records(self) -> Iterator[tuple[int, int, int]]:
        """Opcode, begin and end of the content of each record; of a chunk even if cut off."""
        while (at := self._file.tell()) < self._size:
            opcode, length = RECORD_HEAD.unpack(read_exactly(self._file, RECORD_HEAD.size))
            if opcode == 0 or DATA_END < opcode < FIRST_PRIVATE_OPCODE:
                raise DamagedError(f'no record of kind {opcode}')
            begin = at + RECORD_HEAD.size
            if begin + length > self._size and opcode != CHUNK:
                raise DamagedError('cut off')
            yield opcode, begin, begin + length

    def _take(self, opcode: int, begin: int, end: int) -> None:
        size = end - begin
        if opcode == MESSAGE_INDEX:
            if self._chunk is not None and size <= MAX_DEFINITION_BYTES:
                fields = Fields(read_exactly(self._file, size))
                self._chunk.counts[fields.number(2)] = fields.number(4) // 16
            return
        self._settle()
        self._file.seek(begin)
        if opcode == MESSAGE:
            self._take_message(begin - RECORD_HEAD.size, end)
        elif opcode == CHUNK:
            self._take_chunk(begin, end)
        elif opcode in {SCHEMA, CHANNEL} and size <= MAX_DEFINITION_BYTES:
            self._found.take(opcode, read_exactly(self._file, size))

    def _take_message(self, begin: int, end: int) -> None:
        channel, _, log_ns, _ = MESSAGE_FIELDS.unpack(
            read_exactly(self._file, MESSAGE_FIELDS.size)
        )
        sections, counts = self._found.sections, self._found.counts
        last = sections[-1] if sections else None
        if last is None or last.chunk or last.end != begin or end - last.begin > LOOSE_BYTES:
            last = Section(begin, begin, chunk=False)
            sections.append(last)
        last.end = end
        last.add(channel, log_ns)
        counts[channel] = counts.get(channel, 0) + 1
        self._found.cover(log_ns, log_ns)

    def _take_chunk(self, begin: int, end: int) -> None:
        start_ns, end_ns, _, _ = CHUNK_FIELDS.unpack(read_exactly(self._file, CHUNK_FIELDS.size))
        whole = end <= self._size
        self._chunk = Section(begin, min(end, self._size), start_ns, end_ns, whole=whole)
        self._found.sections.append(self._chunk)
        if not whole:
            raise DamagedError('cut off')

    def _settle(self) -> None:
        """Learn what the last chunk holds."""
        chunk, self._chunk = self._chunk, None
        if chunk is None:
            return
        if not chunk.counts or chunk.counts.keys() - self._found.channels.keys():
            self._read_through(chunk)
        for channel, count in chunk.counts.items():
            self._found.counts[channel] = self._found.counts.get(channel, 0) + count
        if any(chunk.counts.values()):
            self._found.cover(chunk.start_ns, chunk.end_ns)

    def _read_through(self, chunk: Section) -> None:
        read = Section(chunk.begin, chunk.end)
        try:
            for opcode, content in section_records(self._file, chunk):
                self._found.take(opcode, content)
                if opcode == MESSAGE:
                    message = read_message(content)
                    read.add(message.channel, message.log_ns)
        except Exception as error:  # of a decompressor too; what came before it counts
            if chunk.whole:
                self._found.damage = f'{error} in the chunk at byte {chunk.begin}'
        chunk.counts = read.counts
        if read.counts:
            chunk.start_ns, chunk.end_ns = read.start_ns, read.end_ns
