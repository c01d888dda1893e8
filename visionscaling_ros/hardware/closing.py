"""What is closed at the end of a ``with`` block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

Itself = TypeVar('Itself', bound='ClosedAtExit')  # typing.Self came with Python 3.11


class ClosedAtExit(ABC):
    """A context manager that is its own value and closes itself."""

    @abstractmethod
    def close(self) -> None:
        """Give up what it holds."""

    def __enter__(self: Itself) -> Itself:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
