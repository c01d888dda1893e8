"""Reads a bag: rosbag2 (sqlite3, mcap) or rosbag 1, message by message."""

from __future__ import annotations

import heapq
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rosbags.interfaces import Qos

from visionscaling_ros.bags.bag_files import bag_files, open_file
from visionscaling_ros.bags.bag_types import BagTypes
from visionscaling_ros.bags.skipped import Skipped
from visionscaling_ros.bags.stored import BagMessage, BagTopic, Storage
from visionscaling_ros.errors import InvalidValueError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ['BagMessage', 'BagReader', 'BagTopic']

ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'  # begins no CDR message, whose first byte is 0
MAX_MESSAGE_BYTES = 2**30
NOT_CDR = 'not in CDR, which ROS 2 needs'
BAD_PACKING = 'damaged: cannot be decompressed'


class BagReader:
    """A bag that is open; use as a context manager.

    Memory is bounded whatever the bag's size. What cannot be read is passed over and counted.

    :param path: folder of a bag, or its .mcap, .db3 or .bag file.
    :raises InvalidValueError: on entering, for a bag that cannot be read; says why.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.skipped = Skipped()

    def __enter__(self) -> BagReader:
        with ExitStack() as stack:
            try:
                self._storages = self._open(stack)
            except OSError as error:
                raise InvalidValueError('bag', str(self.path), f'a bag ({error})') from error
            self._stack = stack.pop_all()
        self._topics = _merged(self._storages)
        self._types = BagTypes(t for s in self._storages for t in s.topics)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _open(self, stack: ExitStack) -> list[Storage]:
        files = bag_files(self.path, self.skipped)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='visionscaling-bag-')))
        storages: list[Storage] = []
        first_error: InvalidValueError | None = None
        for file in files:
            try:
                storage = open_file(file, folder, self.skipped)
            except InvalidValueError as error:
                first_error = first_error or error
                self.skipped.add(file.name, str(error.allowed))
                continue
            stack.callback(storage.close)
            storages.append(storage)
        if first_error is not None and not storages:
            raise first_error
        return sorted(storages, key=lambda s: s.start_ns)

    @property
    def topics(self) -> tuple[BagTopic, ...]:
        """Topics by name."""
        return self._topics

    @property
    def start_ns(self) -> int:
        """When its first message was recorded [ns]; 0 of an empty bag."""
        return min((s.start_ns for s in self._storages if s.end_ns), default=0)

    @property
    def end_ns(self) -> int:
        """After its last message [ns]; 0 of an empty bag."""
        return max((s.end_ns for s in self._storages), default=0)

    def messages(
        self,
        topics: Collection[str] | None = None,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[BagMessage]:
        """Its messages in the order of their recording; of some topics only, or a stretch.

        Those that cannot be read are counted in ``skipped``.
        """
        binary = {t.name for s in self._storages for t in s.topics if t.encoding != 'cdr'}
        for message in self._in_order(topics, start_ns, stop_ns):
            if message.topic in binary:
                self.skipped.add(message.topic, NOT_CDR)
            elif message.data.startswith(ZSTD_MAGIC):
                yield from self._unpacked(message)
            else:
                yield message

    def _in_order(
        self, topics: Collection[str] | None, start_ns: int | None, stop_ns: int | None
    ) -> Iterator[BagMessage]:
        """Messages of all files; a file is begun only when its turn has come."""
        coming: list[tuple[int, int, BagMessage, Iterator[BagMessage]]] = []
        for number, storage in enumerate(self._storages):
            while coming and coming[0][0] < storage.start_ns:
                yield _first(coming)
            messages = storage.messages(topics, start_ns, stop_ns, self.skipped)
            _add(coming, number, messages)
        while coming:
            yield _first(coming)

    def _unpacked(self, message: BagMessage) -> Iterator[BagMessage]:
        """Of a bag whose messages are compressed one by one."""
        try:
            data = zstd.ZstdDecompressor().decompress(message.data, MAX_MESSAGE_BYTES)
        except (zstd.ZstdError, MemoryError):
            self.skipped.add(message.topic, BAD_PACKING)
            return
        yield BagMessage(message.topic, message.message_type, message.log_ns, data)

    def deserialize(self, message: BagMessage) -> Any:
        """The message's fields; raises InvalidValueError where its bytes do not fit its type."""
        try:
            return self._types.deserialize(message.message_type, message.data)
        except InvalidValueError as error:
            raise InvalidValueError(message.topic, error.value, error.allowed) from error

    def fields(self, message_type: str) -> Mapping[str, str] | None:
        """Types of a message's fields by name as the bag has them; None where it does not know."""
        return self._types.fields(message_type)


def _first(coming: list[tuple[int, int, BagMessage, Iterator[BagMessage]]]) -> BagMessage:
    _, number, message, rest = heapq.heappop(coming)
    _add(coming, number, rest)
    return message


def _add(
    coming: list[tuple[int, int, BagMessage, Iterator[BagMessage]]],
    number: int,
    messages: Iterator[BagMessage],
) -> None:
    message = next(messages, None)
    if message is not None:
        heapq.heappush(coming, (message.log_ns, number, message, messages))


def _merged(storages: list[Storage]) -> tuple[BagTopic, ...]:
    """One topic of each name, whatever the number of its publishers and files."""
    found: dict[str, BagTopic] = {}
    qos: defaultdict[str, Counter[Qos]] = defaultdict(Counter)
    for storage in storages:
        here: defaultdict[str, Counter[Qos]] = defaultdict(Counter)
        for topic in storage.topics:
            here[topic.name].update(topic.qos)
            before = found.get(topic.name)
            count = topic.count + (before.count if before is not None else 0)
            found[topic.name] = replace(before or topic, count=count)
        for name, counts in here.items():
            qos[name] |= counts  # each file of a bag names the same publishers
    return tuple(
        replace(topic, qos=tuple(qos[name].elements())) for name, topic in sorted(found.items())
    )
