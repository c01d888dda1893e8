"""Frames that wait to be sent: few, and the newest win."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.edge.wire.protocol import REQUEST_OVERHEAD_BYTES


@dataclass(frozen=True)
class WaitingFrame:
    """A frame and when the bridge took it over."""

    frame: OffloadFrame
    accepted_s: float

    @property
    def upload_bytes(self) -> int:
        """About what the request takes on the wire."""
        return len(self.frame.payload) + REQUEST_OVERHEAD_BYTES


class WaitingFrames:
    """At most ``max_waiting`` frames, oldest first; a spare one waits alone. Not thread-safe."""

    def __init__(self, max_waiting: int) -> None:
        self.max_waiting = max_waiting
        self._frames: deque[WaitingFrame] = deque()

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[WaitingFrame]:
        return iter(self._frames)

    @property
    def oldest(self) -> WaitingFrame:
        """The next to be sent."""
        return self._frames[0]

    def put(self, frame: WaitingFrame) -> list[WaitingFrame]:
        """Add ``frame``; returns those that make way for it."""
        displaced = [waiting for waiting in self._frames if waiting.frame.spare]
        self._frames.append(frame)
        displaced = displaced or list(self._frames)[: -self.max_waiting]
        for waiting in displaced:
            self._frames.remove(waiting)
        return displaced

    def take(self) -> WaitingFrame:
        """Remove and return the oldest."""
        return self._frames.popleft()

    def take_if(self, hopeless: Callable[[WaitingFrame], bool]) -> list[WaitingFrame]:
        """Remove and return those that are ``hopeless``."""
        taken = [waiting for waiting in self._frames if hopeless(waiting)]
        for waiting in taken:
            self._frames.remove(waiting)
        return taken
