"""Where the messages of an MCAP file are, by the summary at its end."""

from __future__ import annotations

import os
from typing import BinaryIO

from visionscaling_ros.bags.mcap_chunk import Section
from visionscaling_ros.bags.mcap_records import (
    RECORD_HEAD,
    DamagedError,
    Fields,
    read_exactly,
    read_head,
)
from visionscaling_ros.bags.mcap_storage import (
    CHUNK_INDEX,
    FOOTER,
    MAGIC,
    STATISTICS,
    SUMMARY_OFFSET,
)
from visionscaling_ros.bags.mcap_walk import MAX_DEFINITION_BYTES, McapSummary, McapWalk

FOOTER_BYTES = RECORD_HEAD.size + 20 + len(MAGIC)


def read_summary(file: BinaryIO) -> McapSummary:
    """By the summary at the file's end where it has a whole one, else by a walk."""
    try:
        return _summary(file)
    except ValueError:  # DamagedError and text that is none
        return McapWalk(file).run()


def _summary(file: BinaryIO) -> McapSummary:
    size = file.seek(0, os.SEEK_END)
    if size < FOOTER_BYTES:
        raise DamagedError('no footer')
    file.seek(size - FOOTER_BYTES)
    opcode, _ = read_head(file, size)
    begin = int.from_bytes(file.read(8), 'little')
    file.seek(size - len(MAGIC))
    if opcode != FOOTER or file.read() != MAGIC or not 0 < begin < size:
        raise DamagedError('no summary')
    file.seek(begin)
    found = McapSummary()
    statistics: bytes | None = None
    while True:
        opcode, end = read_head(file, size)
        if opcode in {FOOTER, SUMMARY_OFFSET}:
            break
        if end - file.tell() > MAX_DEFINITION_BYTES:
            raise DamagedError('summary too long')
        content = read_exactly(file, end - file.tell())
        found.take(opcode, content)
        if opcode == CHUNK_INDEX:
            found.sections.append(_indexed(content, size))
        elif opcode == STATISTICS:
            statistics = content
    _count(found, statistics)
    return found


def _indexed(content: bytes, size: int) -> Section:
    fields = Fields(content)
    start_ns, end_ns, offset, length = (fields.number(8) for _ in range(4))
    if length < RECORD_HEAD.size or offset + length > size:
        raise DamagedError('index of a chunk')
    return Section(offset + RECORD_HEAD.size, offset + length, start_ns, end_ns)


def _count(found: McapSummary, statistics: bytes | None) -> None:
    """Take the statistics over; raises DamagedError where the summary does not tell everything."""
    if statistics is None:
        raise DamagedError('no statistics')
    fields = Fields(statistics)
    messages, _, channels = fields.number(8), fields.number(2), fields.number(4)
    fields.taken(4 + 4 + 4)  # attachments, metadata, chunks
    start_ns, end_ns = fields.number(8), fields.number(8)
    if messages:
        found.cover(start_ns, end_ns)
    found.counts = dict(fields.pairs(2))
    complete = channels == len(found.channels) and all(
        topic.message_type or topic.encoding != 'cdr' for topic in found.channels.values()
    )
    if not complete or (messages and not (found.sections and found.counts)):
        raise DamagedError('summary without what is needed')
