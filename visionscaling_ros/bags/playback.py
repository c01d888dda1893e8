"""Plays a bag: each message at its time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from visionscaling_ros.bags.bag_reader import BagReader
from visionscaling_ros.bags.lateness import Lateness
from visionscaling_ros.bags.playback_clock import PlaybackClock
from visionscaling_ros.bags.playback_topics import CLOCK, PlayedTopics
from visionscaling_ros.bags.skipped import Skipped
from visionscaling_ros.bags.stored import BagMessage, BagTopic
from visionscaling_ros.bags.topic_names import absolute
from visionscaling_ros.errors import InvalidValueError

NANOSECONDS = 1_000_000_000
GAP_S = 10.0
MAX_WAIT_S = 3600.0
MIN_RATE, MAX_RATE = 0.01, 1000.0
OWN_CLOCK = 'the player publishes the time itself'
OTHER_TYPE = 'another type than the first of this topic'


@dataclass(frozen=True, kw_only=True)
class PlaybackOptions:
    """What is played of a bag, and how.

    :param rate: times as fast as it was recorded.
    :param start_s: where to begin, from the first message on [s].
    :param duration_s: how much of the bag to play [s]; None for all.
    :param clock: the player tells the time: the bag's own /clock is not played.
    """

    rate: float = 1.0
    loop: bool = False
    start_s: float = 0.0
    duration_s: float | None = None
    clock: bool = False
    topics: PlayedTopics = field(default_factory=PlayedTopics)

    def __post_init__(self) -> None:
        """Raise InvalidValueError for what cannot be."""
        if not MIN_RATE <= self.rate <= MAX_RATE:
            raise InvalidValueError('rate', self.rate, f'{MIN_RATE:g} to {MAX_RATE:g}')
        if not 0.0 <= self.start_s < float('inf'):
            raise InvalidValueError('start', self.start_s, '0 s or more')
        if self.duration_s is not None and not 0.0 < self.duration_s < float('inf'):
            raise InvalidValueError('duration', self.duration_s, 'more than 0 s')


class Outlet(Protocol):
    """Where messages go."""

    def advertise(self, topic: BagTopic, name: str) -> str:
        """Make ready to publish a topic; why it cannot be, '' if it can."""

    def publish(self, name: str, message: BagMessage) -> str:
        """Publish a message of a topic made ready; why not, '' if it was."""


@dataclass
class PlaybackSummary:
    """What was played.

    :param published: number of messages by the name they were played under.
    :param out_of_order: messages recorded before the one in front of them, published at once.
    :param loops: times the bag was begun.
    """

    published: Counter[str] = field(default_factory=Counter)
    out_of_order: int = 0
    loops: int = 0
    interrupted: bool = False
    lateness: Lateness = field(default_factory=Lateness)
    skipped: Skipped = field(default_factory=Skipped)

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file."""
        return {
            'published': dict(sorted(self.published.items())),
            'skipped': {t: dict(reasons) for t, reasons in self.skipped.by_topic.items()},
            'out_of_order': self.out_of_order,
            'loops': self.loops,
            'interrupted': self.interrupted,
            'lateness_ms': self.lateness.summary(),
        }


class Playback:
    """One playback of an open bag: ``prepare`` it, then ``run`` it.

    :param stop: set to end it.
    :param on_message: called after each message with the bag's time from ``start`` on [s].
    :param on_gap: called before a wait of more than GAP_S, with how long it is [s].
    :raises InvalidValueError: the bag is empty, ends before ``start``, or lacks a topic asked for.
    """

    def __init__(
        self,
        bag: BagReader,
        options: PlaybackOptions,
        outlet: Outlet,
        stop: threading.Event,
        *,
        on_message: Callable[[float], None] = lambda bag_s: None,
        on_gap: Callable[[float], None] = lambda wait_s: None,
    ) -> None:
        self._bag, self._options, self._outlet = bag, options, outlet
        self._stop, self._on_message, self._on_gap = stop, on_message, on_gap
        self.summary = PlaybackSummary(skipped=bag.skipped)
        self.clock = PlaybackClock(options.rate)
        self.names = options.topics.names(bag.topics)
        self._reasons: dict[str, str] = {}
        bag_s = (bag.end_ns - bag.start_ns) / NANOSECONDS
        if not self.names:
            there = ', '.join(f'{t.name} ({t.count})' for t in bag.topics) or 'no topic'
            allowed = f'one with messages of the topics asked for; it has {there}'
            raise InvalidValueError('bag', str(bag.path), allowed)
        if options.start_s > bag_s:
            raise InvalidValueError('start', options.start_s, f'0 to {bag_s:.3f} s, its length')
        self._begin_ns = bag.start_ns + round(options.start_s * NANOSECONDS)
        self._end_ns = bag.end_ns
        if options.duration_s is not None:
            self._end_ns = min(
                self._end_ns, self._begin_ns + round(options.duration_s * NANOSECONDS)
            )
        self.clock.set(self._begin_ns)

    @property
    def length_s(self) -> float:
        """How much of the bag is played each time [s]."""
        return (self._end_ns - self._begin_ns) / NANOSECONDS

    def prepare(self) -> None:
        """Make ready to publish; the clock stands at the beginning."""
        self._types = {t.name: t.message_type for t in self._bag.topics}
        for topic in self._bag.topics:
            if topic.name not in self.names:
                continue
            name = self.names[topic.name]
            if self._options.clock and absolute(topic.name) == CLOCK:
                self._reasons[topic.name] = OWN_CLOCK
            elif reason := self._outlet.advertise(topic, name):
                self._reasons[topic.name] = reason

    def run(self) -> PlaybackSummary:
        """Play until the end, or until ``stop`` is set; again and again with ``loop``."""
        summary = self.summary
        while not self._stop.is_set():
            published = summary.published.total()
            summary.loops += 1
            self._play_once()
            if not self._options.loop or summary.published.total() == published:
                break
        summary.interrupted = self._stop.is_set()
        return summary

    def _play_once(self) -> None:
        self.clock.set(self._begin_ns)
        self.clock.run()
        last_ns = self._begin_ns
        for message in self._bag.messages(self.names.keys(), self._begin_ns, self._end_ns):
            if message.message_type != self._types[message.topic]:
                self.summary.skipped.add(message.topic, OTHER_TYPE)
                continue
            if reason := self._reasons.get(message.topic):
                self.summary.skipped.add(message.topic, reason)
                if self._stop.is_set():
                    return
                continue
            if message.log_ns < last_ns:
                self.summary.out_of_order += 1
            last_ns = max(last_ns, message.log_ns)
            if not self._wait_for(last_ns):
                return
            self._publish(message, last_ns)
        if self._options.loop:
            self._wait_for(self._end_ns)

    def _wait_for(self, log_ns: int) -> bool:
        """Until it is the turn of that time; False when stopped before."""
        wait_s = self.clock.wait_s(log_ns)
        if wait_s > GAP_S:
            self._on_gap(wait_s)
            wait_s = self.clock.wait_s(log_ns)
        # In pieces: a lock cannot be waited for longer than centuries, as damaged times may ask.
        while wait_s > 0.0 and not self._stop.wait(min(wait_s, MAX_WAIT_S)):
            wait_s = self.clock.wait_s(log_ns)
        return not self._stop.is_set()

    def _publish(self, message: BagMessage, turn_ns: int) -> None:
        name = self.names[message.topic]
        self.summary.lateness.add(-self.clock.wait_s(turn_ns))
        if reason := self._outlet.publish(name, message):
            self.summary.skipped.add(message.topic, reason)
            return
        self.summary.published[name] += 1
        self._on_message((message.log_ns - self._begin_ns) / NANOSECONDS)
