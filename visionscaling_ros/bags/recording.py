"""Messages go into a bag in a thread of their own, so that a slow disk stops nobody."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rosbags.interfaces import Connection, Qos

from visionscaling_ros.bags.bag_writer import BagWriter
from visionscaling_ros.bags.message_definitions import MessageDefinition, MessageDefinitions
from visionscaling_ros.bags.message_queue import MessageQueue, Queued
from visionscaling_ros.bags.topic_choice import COMPRESSED_IMAGE, IMAGE
from visionscaling_ros.errors import VisionScalingError

GATHER_S = 0.25  # waking up for every message would cost more than writing it
FLUSH_S = 1.0  # what a crash of this process may cost
HOLD_NS = 100_000_000  # messages are put into the order of their reception over this long


@dataclass(eq=False)
class RecordedTopic:
    """A topic of the recording, and what was received of it."""

    name: str
    message_type: str
    definition: MessageDefinition
    qos: tuple[Qos, ...]
    is_image: bool
    connection: Connection | None = None
    messages: int = 0
    size: int = 0
    first_ns: int | None = None
    last_ns: int | None = None


@dataclass(frozen=True)
class TopicSummary:
    """What a bag has of a topic; rate: of the messages in it [1/s], None of less than two."""

    topic: str
    message_type: str
    messages: int
    size_bytes: int
    rate_hz: float | None
    dropped: int


@dataclass(frozen=True)
class RecordingState:
    """How far it is: all topics together."""

    topics: int
    messages: int
    size_bytes: int
    dropped: int


class Recording:
    """A bag that takes messages until it is closed, is full, or ``max_bytes`` large.

    :param writer: of the bag; the recording closes it.
    :param queue_bytes: of the messages that may wait for the disk, besides TAKEN_BYTES that are on
        their way to it [B].
    :param max_bytes: end when the bag is so large [B].
    :param on_end: called, in the recording's thread, when it ended by itself.
    :param definitions: of message types; those of this machine if not given.
    """

    def __init__(
        self,
        writer: BagWriter,
        *,
        queue_bytes: int,
        max_bytes: int | None = None,
        on_end: Callable[[], None] = lambda: None,
        definitions: MessageDefinitions | None = None,
    ) -> None:
        self._writer = writer
        self._definitions = definitions or MessageDefinitions()
        self._max_bytes = max_bytes
        self._on_end = on_end
        self._queue: MessageQueue[RecordedTopic] = MessageQueue(queue_bytes)
        self._topics: list[RecordedTopic] = []
        self._new_topics: deque[RecordedTopic] = deque()
        self._held: list[Queued[RecordedTopic]] = []
        self._newest_ns = 0
        self._flushed_s = time.monotonic()
        self.end_reason = ''
        self.failed = False
        self._thread = threading.Thread(target=self._run, name='bag_writer', daemon=True)
        self._thread.start()

    def add_topic(self, name: str, message_type: str, qos: Sequence[Qos]) -> RecordedTopic:
        """What ``put`` takes for the topic; raises InvalidValueError for an unknown type."""
        definition = self._definitions.find(message_type)
        is_image = message_type in (IMAGE, COMPRESSED_IMAGE)
        topic = RecordedTopic(name, message_type, definition, tuple(qos), is_image)
        self._topics.append(topic)
        self._new_topics.append(topic)
        return topic

    def put(self, topic: RecordedTopic, log_ns: int, data: bytes) -> None:
        """A message received at ``log_ns`` [ns]; never waits."""
        self._queue.put(Queued(log_ns, topic, data), is_image=topic.is_image)

    @property
    def state(self) -> RecordingState:
        """What was recorded by now."""
        topics = list(self._topics)
        return RecordingState(
            len(topics),
            sum(topic.messages for topic in topics),
            sum(topic.size for topic in topics),
            sum(self._queue.dropped.values()),
        )

    def close(self) -> None:
        """Write what waits and finish the bag; raises VisionScalingError when it cannot be."""
        self._queue.close()
        self._thread.join()
        self._writer.close()

    def summary(self) -> list[TopicSummary]:
        """What the bag has, by topic."""
        dropped = self._queue.dropped
        counts = self._writer.counts
        return [
            TopicSummary(
                topic.name,
                topic.message_type,
                counts.get(topic.name, 0),
                topic.size,
                _rate_hz(topic),
                dropped[topic],
            )
            for topic in sorted(self._topics, key=lambda topic: topic.name)
        ]

    def _run(self) -> None:
        drained = False
        try:
            while not drained and not self.end_reason:
                messages = self._queue.take(GATHER_S)
                drained = self._queue.drained
                self._write(messages, is_last=drained)
                if self._max_bytes is not None and self._writer.size >= self._max_bytes:
                    self.end_reason = f'the bag has reached {self._max_bytes / 1e6:g} MB'
        except Exception as error:  # whoever reads the summary must hear of any
            expected = isinstance(error, VisionScalingError)
            self.end_reason, self.failed = str(error) if expected else repr(error), True
        if self.end_reason:
            self._queue.close()
            self._on_end()

    def _write(self, messages: list[Queued[RecordedTopic]], *, is_last: bool) -> None:
        while self._new_topics:
            new = self._new_topics.popleft()
            new.connection = self._writer.add_topic(
                new.name, new.message_type, new.definition, new.qos
            )
        messages = sorted([*self._held, *messages], key=lambda message: message.log_ns)
        newest_ns = messages[-1].log_ns if messages else 0
        # Nothing newer came, or the clock stands still: then nothing is waited for.
        is_over = is_last or newest_ns <= self._newest_ns
        horizon_ns = math.inf if is_over else newest_ns - HOLD_NS
        self._newest_ns = newest_ns
        self._held = []
        for message in messages:
            if message.log_ns > horizon_ns:
                self._held.append(message)
            else:
                self._write_one(message)
        if time.monotonic() - self._flushed_s >= FLUSH_S:
            self._writer.flush()
            self._flushed_s = time.monotonic()

    def _write_one(self, message: Queued[RecordedTopic]) -> None:
        topic = message.topic
        assert topic.connection is not None
        self._writer.write(topic.connection, message.log_ns, message.data)
        topic.messages += 1
        topic.size += len(message.data)
        topic.last_ns = message.log_ns
        if topic.first_ns is None:
            topic.first_ns = message.log_ns


def _rate_hz(topic: RecordedTopic) -> float | None:
    if topic.first_ns is None or topic.last_ns is None or topic.last_ns <= topic.first_ns:
        return None
    return (topic.messages - 1) * 1e9 / (topic.last_ns - topic.first_ns)
