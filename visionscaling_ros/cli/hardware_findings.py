"""What was found on a machine, as data."""

from __future__ import annotations

from dataclasses import dataclass

DIRECTLY, THROUGH_HELPER, NOT = 'directly', 'through the helper', 'not'


@dataclass(frozen=True)
class FoundClock:
    """One clock that is there; None: not known.

    :param access: DIRECTLY, THROUGH_HELPER or NOT.
    :param advice: what to do when it may not be set.
    """

    backend: str
    device: str
    levels_hz: tuple[float, ...]
    frequency_hz: float | None
    limits_hz: tuple[float, float] | None
    governor: str
    access: str
    advice: str


@dataclass(frozen=True)
class FoundMeter:
    """One meter that is there.

    :param covers: what its total is of, in words.
    :param rails_w: what each rail says; None: nothing.
    :param total_rails: those that together are what it covers.
    """

    backend: str
    device: str
    scope: str
    covers: str
    period_s: float
    rails_w: dict[str, float | None]
    total_rails: tuple[str, ...]


@dataclass(frozen=True)
class FoundHelper:
    """The helper, asked by this user.

    :param trouble: why it cannot be used; empty: it can.
    """

    socket: str
    version: str
    devices: tuple[str, ...]
    trouble: str


@dataclass(frozen=True)
class FoundThermometer:
    """What tells how hot the chosen clock's device is; None: nothing sensible now."""

    device: str
    temperature_c: float | None


@dataclass(frozen=True)
class Chosen:
    """What a node would use, and why not what comes before it."""

    backend: str
    device: str
    why: str
    rejected: tuple[str, ...]


@dataclass(frozen=True)
class Inventory:
    """A machine.

    :param settable: whether the chosen clock may be set.
    :param absent: why a backend found nothing, by backend.
    :param temperatures_c: by thermal zone; None: it does not tell.
    """

    machine: str
    root: str
    clocks: tuple[FoundClock, ...]
    meters: tuple[FoundMeter, ...]
    absent: dict[str, str]
    temperatures_c: dict[str, float | None]
    thermometer: FoundThermometer | None
    helper: FoundHelper | None
    clock: Chosen
    meter: Chosen
    settable: bool

    @property
    def usable(self) -> bool:
        """Whether a clock can be set or power be measured."""
        return self.settable or self.meter.backend != 'model'
