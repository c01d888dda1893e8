"""A thread that takes frames one at a time, newest first."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from visionscaling_ros.pipeline.frame import Frame
from visionscaling_ros.pipeline.newest_slot import NewestSlot


class FrameWorker(ABC):
    """One thread with a place for one waiting frame.

    :param name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._slot: NewestSlot[Frame] = NewestSlot()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def work(self, frame: Frame) -> None:
        """Deal with one frame, in the worker's thread; must not raise."""

    def start(self) -> None:
        """Start taking frames."""
        self._thread.start()

    def put(self, frame: Frame) -> Frame | None:
        """Hand a frame over without waiting; returns the older one it displaces."""
        return self._slot.put(frame)

    def stop(self) -> None:
        """Finish the frame under way and stop; one that waits is not taken."""
        self._slot.close()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while (frame := self._slot.take()) is not None:
            self.work(frame)
