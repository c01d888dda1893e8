"""Caps a clock that gets hot and lets go of one that gets too hot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.hardware.thermal.throttle import Throttle

# Below where NVIDIA's boards slow themselves down (Jetson Orin: at 99 degC in software, at 101 to
# 103 degC in hardware), so that the controller sees a lower ceiling before it meets a wall.
DEFAULT_SOFT_LIMIT_C = 85.0
DEFAULT_HARD_LIMIT_C = 95.0
HYSTERESIS_C = 5.0
PERIOD_S = 1.0  # a die follows a change of clock within about a second
LOST_AFTER_S = 2.0  # a driver that wakes up may miss a reading or two
# What no working sensor of a running computer says. Jetsons say -256 degC of a GPU without power.
LOWEST_C, HIGHEST_C = -60.0, 200.0


@dataclass(frozen=True)
class ThermalLimits:
    """Temperatures above which the clock is capped (soft) or handed back (hard); 0: neither.

    Raises InvalidValueError unless both are finite, none is negative and soft is below hard.
    """

    soft_c: float = DEFAULT_SOFT_LIMIT_C
    hard_c: float = DEFAULT_HARD_LIMIT_C

    def __post_init__(self) -> None:
        for name, value in (('soft_limit_c', self.soft_c), ('hard_limit_c', self.hard_c)):
            if not 0.0 <= value <= HIGHEST_C:
                raise InvalidValueError(name, value, f'0 (off) to {HIGHEST_C:g} degC')
        if self.soft_c and self.hard_c and not self.soft_c < self.hard_c:
            raise InvalidValueError(
                'soft_limit_c', self.soft_c, f'0 (off), or below hard_limit_c ({self.hard_c:g})'
            )


@dataclass(frozen=True)
class ThermalVerdict:
    """What heat allows.

    :param ceiling_hz: highest level [Hz]; inf: any, 0: the clock is left to the device.
    :param reason: SOFT_LIMIT, HARD_LIMIT or none.
    :param words: the same for a person; empty for none.
    :param lost: the temperature is not known any more.
    """

    ceiling_hz: float = math.inf
    reason: Throttle = Throttle.NONE
    words: str = ''
    lost: bool = False


class ThermalGuard:
    """Pure logic: temperatures in, a ceiling for the clock out.

    Above ``soft_c`` the ceiling goes one level below the present one, and another level each
    ``period_s`` while it stays above; below ``soft_c - hysteresis_c`` it goes up as slowly, until
    any level is allowed again. At ``hard_c`` the clock is left to the device, whose own protection
    knows more than a temperature, until it is below ``hard_c - hysteresis_c``; the ceiling is then
    the lowest level first. So is it when no sensible reading came for ``lost_after_s``: what
    cannot be watched is not set. With ``hard_c = 0`` nothing is ever left to the device, with
    ``soft_c = 0`` nothing is capped.
    """

    def __init__(
        self,
        hysteresis_c: float = HYSTERESIS_C,
        period_s: float = PERIOD_S,
        lost_after_s: float = LOST_AFTER_S,
    ) -> None:
        self._hysteresis_c = hysteresis_c
        self._period_s = period_s
        self._lost_after_s = lost_after_s
        self._ceiling_hz = math.inf
        self._too_hot = False
        self._stepped_s = -math.inf
        self._known_s: float | None = None

    def update(
        self,
        temperature_c: float,
        limits: ThermalLimits,
        levels_hz: Sequence[float],
        set_hz: float,
        now_s: float,
    ) -> ThermalVerdict:
        """What a reading allows.

        :param temperature_c: NaN, or outside what a sensor can say: no reading.
        :param levels_hz: levels of the clock now, ascending [Hz].
        :param set_hz: level in force [Hz]; 0: none.
        :param now_s: monotonic clock [s].
        """
        if self._known_s is None:
            self._known_s = now_s
        if not LOWEST_C <= temperature_c <= HIGHEST_C:
            return self._without_reading(limits, now_s)
        self._known_s = now_s
        self._judge_hard(temperature_c, limits.hard_c)
        self._judge_soft(temperature_c, limits.soft_c, levels_hz, set_hz, now_s)
        if self._too_hot:
            return ThermalVerdict(
                0.0,
                Throttle.HARD_LIMIT,
                f'{temperature_c:.1f} degC: the clock is left to the device until it is below '
                f'{limits.hard_c - self._hysteresis_c:g} degC (hard_limit_c = {limits.hard_c:g})',
            )
        return self._capped(limits)

    def _without_reading(self, limits: ThermalLimits, now_s: float) -> ThermalVerdict:
        assert self._known_s is not None
        if limits.hard_c and (self._too_hot or now_s - self._known_s > self._lost_after_s):
            return ThermalVerdict(
                0.0,
                Throttle.HARD_LIMIT,
                f'no temperature for {now_s - self._known_s:.1f} s: the clock is left to the '
                'device until there is one again',
                lost=True,
            )
        return self._capped(limits)

    def _capped(self, limits: ThermalLimits) -> ThermalVerdict:
        if math.isinf(self._ceiling_hz):
            return ThermalVerdict()
        return ThermalVerdict(
            self._ceiling_hz,
            Throttle.SOFT_LIMIT,
            f'capped at {self._ceiling_hz * 1e-6:g} MHz by heat (soft_limit_c = {limits.soft_c:g})',
        )

    def _judge_hard(self, temperature_c: float, hard_c: float) -> None:
        if not hard_c:
            self._too_hot = False
        elif temperature_c >= hard_c:
            self._too_hot = True
        elif temperature_c < hard_c - self._hysteresis_c:
            self._too_hot = False

    def _judge_soft(
        self,
        temperature_c: float,
        soft_c: float,
        levels_hz: Sequence[float],
        set_hz: float,
        now_s: float,
    ) -> None:
        if not soft_c or not levels_hz:
            self._ceiling_hz = math.inf
            return
        if self._too_hot:
            self._ceiling_hz = levels_hz[0]
            self._stepped_s = now_s
            return
        if now_s - self._stepped_s < self._period_s:
            return
        if temperature_c > soft_c:
            present_hz = min(self._ceiling_hz, set_hz or math.inf)
            self._ceiling_hz = max(
                (level for level in levels_hz[:-1] if level < present_hz), default=levels_hz[0]
            )
            self._stepped_s = now_s
        elif temperature_c < soft_c - self._hysteresis_c and self._ceiling_hz < math.inf:
            above_hz = [level for level in levels_hz if level > self._ceiling_hz]
            self._ceiling_hz = above_hz[0] if len(above_hz) > 1 else math.inf
            self._stepped_s = now_s
