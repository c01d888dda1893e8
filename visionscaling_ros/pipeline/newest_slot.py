"""A hand-over place for one item: the newest wins."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

Item = TypeVar('Item')


class NewestSlot(Generic[Item]):
    """Depth-1 hand-over between a producer that never waits and one consumer thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: Item | None = None
        self._closed = False

    def put(self, item: Item) -> Item | None:
        """Leave ``item`` for the consumer; returns what could not be handed over.

        That is the older item it replaces, ``item`` itself once the slot is closed, else None.
        """
        with self._condition:
            if self._closed:
                return item
            displaced, self._item = self._item, item
            self._condition.notify()
            return displaced

    def take(self) -> Item | None:
        """Wait for an item; None once the slot is closed."""
        with self._condition:
            while self._item is None and not self._closed:
                self._condition.wait()
            item, self._item = self._item, None
            return item

    def close(self) -> Item | None:
        """Wake the consumer for good; returns the item nobody took."""
        with self._condition:
            self._closed = True
            item, self._item = self._item, None
            self._condition.notify_all()
            return item
