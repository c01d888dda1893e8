"""One look at a clock and what is done about it: a ClockKeeper's work, without its thread."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from visionscaling_ros.errors import HardwareError, VisionScalingError
from visionscaling_ros.hardware.clock_target import RELEASE_HZ, target_level
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.effect_watch import Effect, EffectWatch
from visionscaling_ros.hardware.keeper_settings import KeeperReport, KeeperSettings
from visionscaling_ros.hardware.thermal.board_throttle import BoardReasons, BoardThrottle
from visionscaling_ros.hardware.thermal.thermal_guard import ThermalGuard, ThermalVerdict
from visionscaling_ros.hardware.thermal.thermometer import Thermometer
from visionscaling_ros.hardware.thermal.throttle import Throttle


@dataclass(frozen=True)
class Wish:
    """A clock that is wanted.

    :param frequency_hz: RELEASE_HZ: leave it to the device.
    :param slot_s: how long it is expected to be in force.
    :param time_s: when it was wished for, monotonic clock.
    """

    frequency_hz: float = RELEASE_HZ
    slot_s: float = 1.0
    time_s: float = -math.inf


@dataclass
class _Look:
    """What one look at the device found."""

    levels_hz: tuple[float, ...]
    limits_hz: tuple[float, float] | None
    frequency_hz: float
    temperature_c: float


class ClockRegulation:
    """Sets a guarded clock as wishes, bounds and heat have it. For one thread.

    A set that failed or was overwritten is tried again once a slot; a new target at once. A range
    that the kernel's cooling holds is not taken for the state found: it is left until that ends.
    """

    def __init__(
        self, guard: ClockGuard, thermometer: Thermometer | None, board: BoardThrottle
    ) -> None:
        self._guard = guard
        self._thermometer = thermometer
        self._board = board
        self._thermal = ThermalGuard()
        self._effect = EffectWatch()
        self._set_hz = RELEASE_HZ  # level that is set and was read back
        self._tried_hz = RELEASE_HZ
        self._tried_s = -math.inf
        self._latency_s = math.nan
        self._failure = ''
        self._found: Mapping[str, str] = {}  # for a person who has to write it
        self._cap_hz = math.inf  # of the state found, inf where it allows all levels

    def step(
        self, wish: Wish, settings: KeeperSettings, utilization: float, now_s: float
    ) -> KeeperReport:
        """Look at the device and set it if need be."""
        errors: list[str] = []
        look = self._look(errors)
        timed_out = now_s - wish.time_s > settings.decision_timeout_s
        requested_hz = RELEASE_HZ if timed_out else wish.frequency_hz
        verdict = ThermalVerdict()
        if self._thermometer is not None:
            verdict = self._thermal.update(
                look.temperature_c, settings.limits, look.levels_hz, self._set_hz, now_s
            )
        board = self._board.read(now_s)
        effect = self._effect.look(
            look.limits_hz, look.frequency_hz, utilization, board.reason, now_s
        )
        first = requested_hz != RELEASE_HZ and not self._guard.engaged
        hot = self._guard.clock.held_by_heat() if first else ''
        if hot:
            words = '; '.join(words for words in (board.words, hot) if words)
            board = BoardReasons(board.reason | Throttle.BOARD_THERMAL, words)
            self._tried_hz, self._failure = RELEASE_HZ, ''  # it is tried as soon as that ends
        elif first:
            self._note_found(look.levels_hz)
        ceiling_hz = min(verdict.ceiling_hz, self._cap_hz)
        try:
            target_hz = target_level(look.levels_hz, requested_hz, settings, ceiling_hz)
        except HardwareError as error:
            errors.append(str(error))
            target_hz = RELEASE_HZ
        if not (settings.dry_run or hot):
            self._apply(target_hz, look, effect, wish.slot_s, now_s)
            look.frequency_hz = self._frequency_hz(errors)
        if self._failure:
            errors.append(self._failure)
        return self._report(
            look, verdict, board, effect, errors,
            requested_hz=requested_hz, target_hz=target_hz, timed_out=timed_out,
        )  # fmt: skip

    def release(self) -> None:
        """Leave the clock as it was found; raises HardwareError saying what to do by hand."""
        self._effect.note_release()
        self._set_hz = RELEASE_HZ
        try:
            self._guard.release()
        except (VisionScalingError, OSError) as error:
            by_hand = ', '.join(f'{name} = {value}' for name, value in self._found.items())
            raise HardwareError(
                f'{self._guard.clock.device} could not be restored: {error}; by hand: {by_hand}'
            ) from error

    def _look(self, errors: list[str]) -> _Look:
        clock = self._guard.clock
        try:
            levels_hz = clock.available_frequencies_hz
            limits_hz = clock.limits_hz() if self._set_hz else None
            self._guard.keep_alive()
        except (VisionScalingError, OSError) as error:
            errors.append(str(error))
            levels_hz, limits_hz = (), None
        temperature_c = math.nan
        if self._thermometer is not None:
            temperature_c = self._thermometer.read_c()
        return _Look(levels_hz, limits_hz, self._frequency_hz(errors), temperature_c)

    def _frequency_hz(self, errors: list[str]) -> float:
        try:
            return self._guard.clock.frequency_hz()
        except (VisionScalingError, OSError) as error:
            if str(error) not in errors:
                errors.append(str(error))
            return math.nan

    def _apply(
        self, target_hz: float, look: _Look, effect: Effect, slot_s: float, now_s: float
    ) -> None:
        due = bool(self._failure or effect.again) and now_s - self._tried_s >= slot_s
        if target_hz == self._tried_hz and not due:
            return
        self._tried_hz, self._tried_s = target_hz, now_s
        try:
            if target_hz == RELEASE_HZ:
                self.release()
            else:
                if effect.again and look.limits_hz is None:
                    self._guard.release()  # it skips a level it cannot see to be lost
                self._set(target_hz, slot_s, now_s)
            self._failure = ''
        except Exception as error:  # a driver may raise anything
            self._failure = str(error) if isinstance(error, VisionScalingError) else repr(error)
            self._set_hz = RELEASE_HZ
            self._effect.note_release()

    def _note_found(self, levels_hz: Sequence[float]) -> None:
        clock = self._guard.clock
        try:
            self._found = clock.state()
            cap_hz = clock.cap_hz(self._found)
        except (VisionScalingError, OSError):  # a set will tell
            self._found, cap_hz = {}, math.inf
        self._cap_hz = cap_hz if any(level > cap_hz for level in levels_hz) else math.inf

    def _set(self, target_hz: float, slot_s: float, now_s: float) -> None:
        started_s = time.monotonic()
        self._set_hz = self._guard.set_frequency(target_hz)
        self._latency_s = time.monotonic() - started_s
        self._effect.note_set(self._set_hz, slot_s, now_s)

    def _report(
        self,
        look: _Look,
        verdict: ThermalVerdict,
        board: BoardReasons,
        effect: Effect,
        errors: list[str],
        *,
        requested_hz: float,
        target_hz: float,
        timed_out: bool,
    ) -> KeeperReport:
        warnings: list[str] = [board.words] if board.words else []
        for words, serious in (
            (verdict.words, bool(verdict.reason & Throttle.HARD_LIMIT)),
            (effect.words, effect.fight),
        ):
            if words:
                (errors if serious else warnings).append(words)
        mode, mode_words = self._power_mode(min((requested_hz, *look.levels_hz[-1:])), verdict)
        reasons = (verdict.words, mode_words, board.words, effect.words)
        return KeeperReport(
            frequency_hz=look.frequency_hz,
            requested_frequency_hz=requested_hz,
            target_frequency_hz=target_hz,
            set_frequency_hz=self._set_hz,
            limits_hz=look.limits_hz,
            available_frequencies_hz=look.levels_hz,
            ceiling_frequency_hz=min(verdict.ceiling_hz, self._cap_hz),
            throttle=verdict.reason | mode | board.reason | effect.reason,
            throttle_words='; '.join(words for words in reasons if words),
            sets=self._guard.writes,
            overwritten=self._effect.overwritten,
            set_latency_s=self._latency_s,
            temperature_c=look.temperature_c,
            slowdown=self._slowdown(),
            timed_out=timed_out,
            errors=tuple(errors),
            warnings=tuple(warnings),
        )

    def _power_mode(self, wanted_hz: float, verdict: ThermalVerdict) -> tuple[Throttle, str]:
        """Whether the state found keeps the clock below what is wanted and heat would allow."""
        if self._cap_hz >= min(wanted_hz, verdict.ceiling_hz):
            return Throttle.NONE, ''
        return Throttle.POWER_MODE, f'capped at {self._cap_hz * 1e-6:g} MHz by the power mode found'

    def _slowdown(self) -> float:
        try:
            return self._guard.clock.slowdown
        except (VisionScalingError, OSError):  # the same that its frequency told
            return 1.0
