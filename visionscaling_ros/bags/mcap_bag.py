"""An MCAP file of a bag, as it is read."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from visionscaling_ros.bags.mcap_chunk import Section, section_records
from visionscaling_ros.bags.mcap_records import Message, read_message
from visionscaling_ros.bags.mcap_storage import MAGIC, MESSAGE
from visionscaling_ros.bags.mcap_summary import read_summary
from visionscaling_ros.bags.mcap_walk import McapSummary
from visionscaling_ros.bags.skipped import Skipped
from visionscaling_ros.bags.stored import DAMAGED, BagMessage, BagTopic
from visionscaling_ros.errors import InvalidValueError

LAST_NS = 2**63 - 1  # of ROS
BAD_TIME = f'{DAMAGED}: a time that cannot be'
HELD_BYTES = 64 * 2**20  # of messages put in order; beyond, the earliest go out first


class McapBag:
    """An MCAP file; damaged chunks are passed over and counted.

    :param damage: why it could not be read to its end; '' when it could.
    :raises InvalidValueError: it is no MCAP file, or nothing of it can be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open('rb')
        try:
            summary = self._summary()
        except BaseException:
            self._file.close()
            raise
        self.damage = summary.damage
        self._channels = summary.channels
        self._sections = sorted(summary.sections, key=lambda s: (s.start_ns, s.begin))
        self.topics = tuple(
            BagTopic(**{**vars(topic), 'count': summary.counts.get(channel, 0)})
            for channel, topic in summary.channels.items()
        )
        empty = summary.start_ns > summary.end_ns
        self.start_ns, self.end_ns = (0, 0) if empty else (summary.start_ns, summary.end_ns + 1)

    def _summary(self) -> McapSummary:
        if (magic := self._file.read(len(MAGIC))) != MAGIC:
            what = 'it does not begin as one' if magic else 'it is empty'
            raise InvalidValueError('bag', str(self._path), f'an MCAP file; {what}')
        summary = read_summary(self._file)
        if not summary.sections and summary.damage:
            allowed = f'an MCAP file with messages ({summary.damage})'
            raise InvalidValueError('bag', str(self._path), allowed)
        return summary

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def messages(
        self,
        topics: Collection[str] | None,
        start_ns: int | None,
        stop_ns: int | None,
        skipped: Skipped,
    ) -> Iterator[BagMessage]:
        """As ``Storage.messages``."""
        channels = {
            channel: topic
            for channel, topic in self._channels.items()
            if topics is None or topic.name in topics
        }
        if self.damage:
            skipped.add(self._path.name, f'{DAMAGED}: {self.damage}')
        for message in self._in_order(channels, start_ns or 0, stop_ns, skipped):
            topic = channels[message.channel]
            yield BagMessage(topic.name, topic.message_type, message.log_ns, message.data)

    def _in_order(
        self,
        channels: Collection[int],
        start_ns: int,
        stop_ns: int | None,
        skipped: Skipped,
    ) -> Iterator[Message]:
        held: list[tuple[int, int, Message]] = []
        held_bytes = number = 0
        for section in self._sections:
            if section.end_ns < start_ns or (stop_ns is not None and section.start_ns >= stop_ns):
                continue
            while held and held[0][0] < section.start_ns:
                message = heapq.heappop(held)[2]
                held_bytes -= len(message.data)
                yield message
            for message in self._section(section, channels, skipped):
                if message.log_ns < start_ns or (
                    stop_ns is not None and message.log_ns >= stop_ns
                ):
                    continue
                number += 1  # of two of the same time the first stored comes first
                heapq.heappush(held, (message.log_ns, number, message))
                held_bytes += len(message.data)
                while held_bytes > HELD_BYTES:
                    first = heapq.heappop(held)[2]
                    held_bytes -= len(first.data)
                    yield first
        while held:
            yield heapq.heappop(held)[2]

    def _section(
        self, section: Section, channels: Collection[int], skipped: Skipped
    ) -> Iterator[Message]:
        read: Counter[int] = Counter()
        try:
            for opcode, content in section_records(self._file, section):
                if opcode != MESSAGE:
                    continue
                message = read_message(content)
                read[message.channel] += 1
                if message.channel not in channels:
                    continue
                if message.log_ns > LAST_NS:
                    skipped.add(self._channels[message.channel].name, BAD_TIME)
                else:
                    yield message
        except Exception as error:  # of a decompressor too: the other chunks stay readable
            if section.whole:
                self._count_lost(section, read, channels, skipped, f'{DAMAGED}: {error}')

    def _count_lost(
        self,
        section: Section,
        read: Counter[int],
        channels: Collection[int],
        skipped: Skipped,
        reason: str,
    ) -> None:
        lost = {
            channel: count - read[channel]
            for channel, count in section.counts.items()
            if count > read[channel] and channel in channels
        }
        for channel, count in lost.items():
            skipped.add(self._channels[channel].name, reason, count)
        if not section.counts:  # how many messages it held is not known
            skipped.add(self._path.name, reason)
