"""Sets every level of a clock for a moment, to see that it can be set and restored."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard


@dataclass(frozen=True)
class LevelCheck:
    """What became of one level.

    :param read_back_hz: level read back after it was set; NaN when it could not be set.
    :param running_hz: clock at the end of the moment; NaN when it is not known.
    :param latency_s: from asking for it until it was read back.
    :param trouble: why it could not be set; empty when it was.
    """

    level_hz: float
    read_back_hz: float
    running_hz: float
    latency_s: float
    trouble: str = ''

    @property
    def capped(self) -> bool:
        """Whether the highest frequency found, a power mode's, kept a lower level in its place."""
        return self.read_back_hz < self.level_hz

    @property
    def verdict(self) -> str:
        """What became of it, in a few words."""
        if self.capped:
            return f'capped at {1e-6 * self.read_back_hz:g} MHz by the power mode'
        return self.trouble or 'ok'


def check_clock(
    guard: ClockGuard,
    *,
    hold_s: float,
    on_level: Callable[[LevelCheck], None] = lambda check: None,
    go_on: Callable[[], bool] = lambda: True,
) -> tuple[LevelCheck, ...]:
    """Set each level for ``hold_s``, then leave the clock as it was found, whatever happened.

    Raises HardwareError, before anything is written, when another process sets the clock or heat
    holds it, and at the end when the clock is not as it was found.

    :param on_level: called after each level.
    :param go_on: asked before each level; False ends the check early.
    """
    clock = guard.clock
    checks = []
    with guard:
        guard.restore_leftover()
        hot = clock.held_by_heat()
        if hot:
            raise HardwareError(f'{clock.device} cannot be checked: {hot}')
        found = clock.state()
        for level_hz in clock.available_frequencies_hz:
            if not go_on():
                break
            checks.append(_check_level(guard, level_hz, hold_s))
            on_level(checks[-1])
    now = clock.state()
    if now != found:
        raise HardwareError(f'{clock.device} is not as it was found: {found} became {now}')
    return tuple(checks)


def _check_level(guard: ClockGuard, level_hz: float, hold_s: float) -> LevelCheck:
    began_s = time.monotonic()
    try:
        read_back_hz = guard.set_frequency(level_hz)
    except HardwareError as error:
        return LevelCheck(level_hz, math.nan, math.nan, time.monotonic() - began_s, str(error))
    latency_s = time.monotonic() - began_s
    time.sleep(hold_s)
    try:
        running_hz = guard.clock.frequency_hz()
    except HardwareError:
        running_hz = math.nan
    return LevelCheck(level_hz, read_back_hz, running_hz, latency_s)
