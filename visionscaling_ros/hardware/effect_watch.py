"""Whether a clock that was set stays set, and whether the device obeys it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from visionscaling_ros.hardware.thermal.throttle import Throttle

# What processors measure of themselves (cpufreq) and cards that step in 15 MHz (NVML) is off by
# less, levels lie further apart, and a frame's energy changes no more than it varies anyway.
TOLERANCE = 0.05
BUSY = 0.5  # share of time above which work would have made a device use the clock it is given
SAME = 1e-3  # limits are rounded to kHz or MHz
FIGHT_AFTER = 3  # sets in a row that did not last


@dataclass(frozen=True)
class Effect:
    """What became of the last set.

    :param reason: OVERWRITTEN, NOT_IN_EFFECT or none.
    :param words: the same for a person; empty for none.
    :param again: it must be set again, when its slot allows.
    :param fight: sets in a row did not last: somebody else keeps setting it.
    """

    reason: Throttle = Throttle.NONE
    words: str = ''
    again: bool = False
    fight: bool = False


class EffectWatch:
    """Pure logic: compares what was set with what the device says from time to time.

    Limits other than those set were written by somebody else (nvpmodel, jetson_clocks, another
    process); limits pulled down while the board says that it is hot are the kernel's own cooling,
    which shows in the same files (drivers/thermal/devfreq_cooling.c).

    A clock above the level is not obeyed whatever the device does, and where the device does not
    tell its limits, that is all there is to see of somebody who took them away: it is set again.
    One below it counts only while there is work for it: an idle GPU may run slower or have no
    power at all.
    """

    def __init__(self) -> None:
        self.overwritten = 0
        self._level_hz = 0.0
        self._set_s = -math.inf
        self._slot_s = 0.0
        self._seen: tuple[float, float] | None = None  # limits of somebody else, since the set
        self._in_a_row = 0

    def note_set(self, level_hz: float, slot_s: float, now_s: float) -> None:
        """A level was set and read back; it should be in effect a slot later."""
        if self._seen is None and now_s - self._set_s >= self._slot_s:
            self._in_a_row = 0
        self._level_hz, self._slot_s, self._set_s = level_hz, slot_s, now_s
        self._seen = None

    def note_release(self) -> None:
        """Nothing is set any more."""
        self._level_hz, self._in_a_row, self._seen = 0.0, 0, None

    def look(
        self,
        limits_hz: tuple[float, float] | None,
        frequency_hz: float,
        utilization: float,
        board: Throttle,
        now_s: float,
    ) -> Effect:
        """What became of the last set.

        :param limits_hz: range the governor is held in; None: not known.
        :param frequency_hz: clock running; NaN: not known.
        :param utilization: share of time busy, 0 to 1; NaN: not known.
        :param board: reasons the board gives for running slower.
        """
        if not self._level_hz:
            return Effect()
        settled = now_s - self._set_s >= self._slot_s
        if limits_hz is not None and not self._holds(limits_hz):
            if board & Throttle.BOARD_THERMAL and limits_hz[1] <= self._level_hz:
                return Effect(
                    Throttle.NOT_IN_EFFECT,
                    f'set to {_mhz(self._level_hz)}, held at {_mhz(limits_hz[1])} by its cooling',
                )
            return self._overwritten(limits_hz)
        if self._in_a_row and self._seen is None and settled:
            self._in_a_row = 0
        if settled and self._disobeyed(frequency_hz, utilization, board):
            return Effect(
                Throttle.NOT_IN_EFFECT,
                f'set to {_mhz(self._level_hz)}, runs at {_mhz(frequency_hz)}',
                again=limits_hz is None and frequency_hz > self._level_hz,
            )
        if self._in_a_row:
            return Effect(Throttle.OVERWRITTEN, 'somebody else had set it: it was set again')
        return Effect()

    def _holds(self, limits_hz: tuple[float, float]) -> bool:
        return all(math.isclose(limit, self._level_hz, rel_tol=SAME) for limit in limits_hz)

    def _overwritten(self, limits_hz: tuple[float, float]) -> Effect:
        if self._seen is None:
            self._in_a_row += 1
        if limits_hz != self._seen:
            self.overwritten += 1
            self._seen = limits_hz
        fight = self._in_a_row >= FIGHT_AFTER
        often = f' {self._in_a_row} times in a row' if fight else ''
        return Effect(
            Throttle.OVERWRITTEN,
            f'set to {_mhz(self._level_hz)}, but somebody else{often} made it '
            f'{_mhz(limits_hz[0])} to {_mhz(limits_hz[1])} (nvpmodel, jetson_clocks or another '
            'process: only one may set it); it is set again each slot',
            again=True,
            fight=fight,
        )

    def _disobeyed(self, frequency_hz: float, utilization: float, board: Throttle) -> bool:
        if frequency_hz > self._level_hz * (1.0 + TOLERANCE):
            return True
        wanted = utilization >= BUSY or bool(board)
        return wanted and frequency_hz < self._level_hz * (1.0 - TOLERANCE)


def _mhz(frequency_hz: float) -> str:
    return f'{frequency_hz * 1e-6:g} MHz'
