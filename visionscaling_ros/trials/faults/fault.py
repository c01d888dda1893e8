"""What a fault is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from visionscaling_ros.trials.faults.bench import FaultBench


class Fault(Protocol):
    """Something that goes wrong for a while."""

    def inject(self) -> None:
        """Let it go wrong, and return."""

    def heal(self) -> None:
        """Take the cause away; returns when what was killed is back."""


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault.

    :param make: takes the bench and how long the fault lasts [s].
    :param seconds: how long faults of this kind last, in turns [s].
    :param kills: processes it ends, or may end.
    :param spoils_replies: it needs the faulty server between link and edge server.
    """

    name: str
    make: Callable[[FaultBench, float], Fault]
    seconds: tuple[float, ...] = (1.0, 2.0, 3.0)
    kills: frozenset[str] = frozenset()
    spoils_replies: bool = False
