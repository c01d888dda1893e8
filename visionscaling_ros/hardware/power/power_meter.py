"""The contract of a power meter."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from visionscaling_ros.hardware.closing import ClosedAtExit


class Scope(Enum):
    """What the figures of a meter cover together."""

    BOARD = 'board'  # the whole computer
    GPU = 'gpu'
    CPU = 'cpu'  # the processor's package
    MODEL = 'model'  # nothing is measured


COVERS = {
    Scope.BOARD: 'the whole computer',
    Scope.GPU: 'the graphics card alone',
    Scope.CPU: 'the processor alone',
    Scope.MODEL: 'nothing: it is calculated from clock and utilisation',
}


@dataclass(frozen=True)
class PowerSample:
    """What a meter said at one moment.

    A rail that could not be read is absent. ``energy_j`` has the rails for which the device counts
    energy itself, since the meter was made and with the counter's wraps undone.

    :param time_s: when it was read, monotonic clock.
    :param restarted: rails whose counter began anew since the sample before: what was drawn in
        between is not known and not in ``energy_j``.
    :param trouble: what is wrong with a rail: why it is absent, or its figure doubted.
    """

    time_s: float
    power_w: Mapping[str, float]
    energy_j: Mapping[str, float] = field(default_factory=dict)
    restarted: frozenset[str] = frozenset()
    trouble: Mapping[str, str] = field(default_factory=dict)


class PowerMeter(ClosedAtExit):
    """One device that tells its power, rail by rail. For one thread."""

    name: str  # backend, for example 'ina3221'
    device: str  # what is read, in words a person recognises: a path or a card's name
    scope: Scope
    period_s: float  # read more often it says the same again
    covers_radio: bool = False  # the robot's uplink radio is in the total

    @property
    @abstractmethod
    def rails(self) -> tuple[str, ...]:
        """Names of what is measured; those that disappear stay in it."""

    @property
    @abstractmethod
    def total_rails(self) -> tuple[str, ...]:
        """Rails whose sum is what ``scope`` says; others are parts of them, or beside them."""

    @property
    def covers(self) -> str:
        """What the total is of, in words."""
        return COVERS[self.scope]

    @abstractmethod
    def read(self) -> PowerSample:
        """Read all rails; raises HardwareError when none of ``total_rails`` can be read."""

    def close(self) -> None:
        """Free what it holds; it may be called twice."""
