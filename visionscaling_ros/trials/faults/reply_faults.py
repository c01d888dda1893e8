"""Faults of the replies: late, broken, of another model, or refusals."""

from __future__ import annotations

from functools import partial

from visionscaling_ros.trials.faults.bench import FaultBench
from visionscaling_ros.trials.faults.fault import FaultKind
from visionscaling_ros.trials.faulty_server import Spoil


class ReplySpoiled:
    """Every reply to a frame is spoiled; signs of life are answered as ever."""

    def __init__(self, bench: FaultBench, seconds: float, *, spoil: Spoil) -> None:
        self._faulty = bench.faulty
        self._spoil = spoil

    def inject(self) -> None:
        """Spoil from now on."""
        self._faulty.spoil = self._spoil

    def heal(self) -> None:
        """Let replies through as they are."""
        self._faulty.spoil = Spoil.NOTHING


KINDS = tuple(
    FaultKind(f'reply-{spoil.value}', partial(ReplySpoiled, spoil=spoil), spoils_replies=True)
    for spoil in Spoil
    if spoil is not Spoil.NOTHING
)
