"""A bounded queue of messages on their way to a bag."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Generic, NamedTuple, TypeVar

Topic = TypeVar('Topic')

TAKEN_BYTES = 8 * 2**20  # at once: what the consumer has counts no more, and cannot be dropped


class Queued(NamedTuple, Generic[Topic]):
    """A message as it was received at ``log_ns`` [ns]."""

    log_ns: int
    topic: Topic
    data: bytes


class MessageQueue(Generic[Topic]):
    """Takes without waiting, gives what has gathered to one consumer.

    Above ``limit_bytes`` the oldest images go first, then the oldest of the others; counted.

    :param limit_bytes: of the data it may hold [B].
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._changed = threading.Condition()
        self._images: deque[Queued[Topic]] = deque()
        self._others: deque[Queued[Topic]] = deque()
        self._queues = self._others, self._images
        self._bytes = 0
        self._hurry = False
        self._closed = False
        self._dropped: Counter[Topic] = Counter()

    @property
    def dropped(self) -> Counter[Topic]:
        """Messages that had to go, by topic."""
        with self._changed:
            return Counter(self._dropped)

    def put(self, message: Queued[Topic], *, is_image: bool) -> None:
        """Take a message; nothing once closed."""
        with self._changed:
            if self._closed:
                return
            (self._images if is_image else self._others).append(message)
            self._bytes += len(message.data)
            while self._bytes > self._limit_bytes:
                oldest = (self._images or self._others).popleft()
                self._bytes -= len(oldest.data)
                self._dropped[oldest.topic] += 1
            if self._bytes > self._limit_bytes // 2:
                self._changed.notify()

    def take(self, wait_s: float) -> list[Queued[Topic]]:
        """The oldest of what gathered in ``wait_s`` [s], up to about TAKEN_BYTES of it.

        Sooner if much did, some was left the last time, or it was closed.
        """
        messages: list[Queued[Topic]] = []
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._hurry or self._bytes > self._limit_bytes // 2, wait_s
            )
            taken_bytes = 0
            while taken_bytes < TAKEN_BYTES and (queues := [*filter(None, self._queues)]):
                messages.append(min(queues, key=lambda queue: queue[0].log_ns).popleft())
                taken_bytes += len(messages[-1].data)
            self._bytes -= taken_bytes
            self._hurry = any(self._queues)
        messages.sort(key=lambda message: message.log_ns)
        return messages

    def close(self) -> None:
        """Take no more; what it holds can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    @property
    def drained(self) -> bool:
        """Whether it takes no more and has no more to give."""
        with self._changed:
            return self._closed and not any(self._queues)
