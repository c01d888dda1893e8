"""A thread that takes items one at a time, newest first."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Generic

from visionscaling_ros.pipeline.newest_slot import Item, NewestSlot


class NewestWorker(ABC, Generic[Item]):
    """One thread with a place for one waiting item.

    :param name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._slot: NewestSlot[Item] = NewestSlot()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def work(self, item: Item) -> None:
        """Deal with one item, in the worker's thread; must not raise."""

    def start(self) -> None:
        """Start taking items."""
        self._thread.start()

    def put(self, item: Item) -> Item | None:
        """Hand an item over without waiting; returns the older one it displaces."""
        return self._slot.put(item)

    def stop(self, timeout_s: float | None = None) -> None:
        """Finish the item under way and stop; one that waits is not taken.

        :param timeout_s: longest wait for the item under way [s]; None: until it is done.
        """
        self._slot.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while (item := self._slot.take()) is not None:
            self.work(item)
