"""What a ClockKeeper may do, and what it says it did."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.hardware.thermal.thermal_guard import ThermalLimits
from visionscaling_ros.hardware.thermal.throttle import Throttle


@dataclass(frozen=True)
class KeeperSettings:
    """What a ClockKeeper may do; raises InvalidValueError for what makes no sense.

    :param min_frequency_hz: lowest level to set; 0: no bound. Heat goes below it.
    :param max_frequency_hz: highest level to set; 0: no bound.
    :param decision_timeout_s: without a wish for this long the clock is given back.
    :param limits: temperatures.
    :param period_s: how often the device is looked at.
    :param dry_run: decide everything, write nothing.
    """

    min_frequency_hz: float = 0.0
    max_frequency_hz: float = 0.0
    decision_timeout_s: float = 3.0
    limits: ThermalLimits = field(default_factory=ThermalLimits)
    period_s: float = 0.2
    dry_run: bool = False

    def __post_init__(self) -> None:
        for name in ('decision_timeout_s', 'period_s'):
            if not 0.0 < getattr(self, name) < math.inf:
                raise InvalidValueError(name, getattr(self, name), 'a positive number of seconds')
        for name in ('min_frequency_hz', 'max_frequency_hz'):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise InvalidValueError(name, getattr(self, name), '0 (no bound) or more')
        if self.max_frequency_hz and self.max_frequency_hz < self.min_frequency_hz:
            raise InvalidValueError(
                'max_frequency_hz',
                self.max_frequency_hz,
                f'0 (no bound), or at least min_frequency_hz ({self.min_frequency_hz:g})',
            )

    def allows(self, level_hz: float) -> bool:
        """Whether a level lies between the bounds."""
        return self.min_frequency_hz <= level_hz <= (self.max_frequency_hz or math.inf)


@dataclass(frozen=True)
class KeeperReport:
    """What a ClockKeeper last saw and did.

    :param frequency_hz: clock now; NaN: not known.
    :param requested_frequency_hz: clock last wished for; 0: none.
    :param target_frequency_hz: level that bounds and heat make of it; 0: left to the device.
    :param set_frequency_hz: level set and read back; 0: left to the device (always in a dry run).
    :param limits_hz: range the governor is held in; None: the device does not tell.
    :param available_frequencies_hz: levels now.
    :param ceiling_frequency_hz: highest level that heat and the power mode found allow; inf:
        any, 0: left to the device.
    :param throttle: why the clock is not what was asked for.
    :param throttle_words: the same for a person.
    :param sets: levels written, repeated ones not.
    :param overwritten: times somebody else had changed what was set.
    :param set_latency_s: last set, until it was read back.
    :param temperature_c: NaN: not known.
    :param slowdown: factor local work must be stretched by to act as if at this clock.
    :param timed_out: no wish for ``decision_timeout_s``.
    :param errors: what keeps it from doing its work.
    :param warnings: what makes its work less than asked for.
    """

    frequency_hz: float = math.nan
    requested_frequency_hz: float = 0.0
    target_frequency_hz: float = 0.0
    set_frequency_hz: float = 0.0
    limits_hz: tuple[float, float] | None = None
    available_frequencies_hz: tuple[float, ...] = ()
    ceiling_frequency_hz: float = math.inf
    throttle: Throttle = Throttle.NONE
    throttle_words: str = ''
    sets: int = 0
    overwritten: int = 0
    set_latency_s: float = math.nan
    temperature_c: float = math.nan
    slowdown: float = 1.0
    timed_out: bool = True
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
