"""The thread that keeps a clock where it is wanted, and nowhere else."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.clock_regulation import ClockRegulation, Wish
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.keeper_settings import KeeperReport, KeeperSettings
from visionscaling_ros.hardware.thermal.board_throttle import BoardThrottle, NoBoardThrottle
from visionscaling_ros.hardware.thermal.thermometer import Thermometer

HANG_S = 1.0  # a device that answers at all answers sooner
LATE_S = 1e-3  # past a deadline, to be sure that it is over
# Fields of a report that change by themselves.
MEASURED = ('frequency_hz', 'limits_hz', 'temperature_c', 'throttle_words', 'errors', 'warnings')


class ClockKeeper:
    """Carries out the newest wish for a clock, in a thread of its own.

    Nothing here waits for the device but ``stop``, and that for so long only. Without a wish for
    ``settings.decision_timeout_s`` the clock is given back, whatever became of those who wish.

    :param guard: the clock; the keeper's alone from ``start`` to ``stop``.
    :param thermometer: None: heat is not watched.
    :param settings: may be replaced while it runs.
    :param on_change: called in the thread after anything but a measured value has changed.
    :param board: what the device says of its own slowing down; None: nothing.
    """

    def __init__(
        self,
        guard: ClockGuard,
        thermometer: Thermometer | None,
        settings: KeeperSettings,
        on_change: Callable[[], None] = lambda: None,
        *,
        board: BoardThrottle | None = None,
    ) -> None:
        self._device = guard.clock.device
        self._regulation = ClockRegulation(guard, thermometer, board or NoBoardThrottle())
        self._settings = settings
        self._on_change = on_change
        self._condition = threading.Condition()
        self._wish = Wish()
        self._news, self._stopping = True, False  # the first look is at once
        self._utilization = math.nan
        self._report = KeeperReport()
        self._busy_since_s: float | None = None
        self._not_restored = ''
        self._thread = threading.Thread(target=self._run, name='clock keeper', daemon=True)

    @property
    def settings(self) -> KeeperSettings:
        """What it may do; another takes effect at once."""
        with self._condition:
            return self._settings

    @settings.setter
    def settings(self, settings: KeeperSettings) -> None:
        with self._condition:
            self._settings, self._news = settings, True
            self._condition.notify()

    def start(self) -> None:
        """Start obeying wishes."""
        self._thread.start()

    def wish(self, frequency_hz: float, slot_s: float) -> None:
        """Want a clock [Hz] for a slot [s]; RELEASE_HZ: leave it to the device. Never waits.

        Raises InvalidValueError for what is no clock or no slot.
        """
        if not 0.0 <= frequency_hz < math.inf:
            raise InvalidValueError(
                'frequency_hz', frequency_hz, 'a level, or 0 to leave it to the device'
            )
        if not 0.0 < slot_s < math.inf:
            raise InvalidValueError('slot_s', slot_s, 'a positive number of seconds')
        with self._condition:
            self._wish, self._news = Wish(frequency_hz, slot_s, time.monotonic()), True
            self._condition.notify()

    def note_utilization(self, utilization: float) -> None:
        """How busy what the clock drives is, 0 to 1; NaN: not known."""
        self._utilization = utilization

    def report(self) -> KeeperReport:
        """What it last saw and did. Never waits."""
        report, since_s = self._report, self._busy_since_s
        silent_s = 0.0 if since_s is None else time.monotonic() - since_s
        if silent_s <= HANG_S:
            return report
        words = f'{self._device} has not answered for {silent_s:.1f} s: it stays as it is'
        return dataclasses.replace(report, errors=(words, *report.errors))

    def stop(self, timeout_s: float) -> None:
        """Restore the clock and stop.

        Raises HardwareError saying what is left to do by hand, when the clock could not be
        restored or the device let more than ``timeout_s`` pass; then the clock is restored when
        the device answers, or at the next start.
        """
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise HardwareError(
                f'{self._device} has not answered for {timeout_s:g} s and may still be set: it is '
                'restored when it answers, else at the next start or by visionscaling clocks '
                'restore'
            )
        if self._not_restored:
            raise HardwareError(self._not_restored)

    def _run(self) -> None:
        while self._wait_for_turn():
            self._guarded(self._step)
        self._guarded(self._restore)
        self._guarded(self._look_back)

    def _guarded(self, work: Callable[[], None]) -> None:
        self._busy_since_s = time.monotonic()
        try:
            work()
        except Exception as error:  # a driver may raise anything; the watchdog must go on
            self._report = dataclasses.replace(self._report, errors=(repr(error),))
        self._busy_since_s = None

    def _restore(self) -> None:
        self._not_restored = f'{self._device} was not restored'
        try:
            self._regulation.release()
            self._not_restored = ''
        except HardwareError as error:
            self._not_restored = str(error)

    def _look_back(self) -> None:
        with self._condition:
            self._wish = Wish(time_s=time.monotonic())
        self._step()

    def _wait_for_turn(self) -> bool:
        with self._condition:
            now_s = time.monotonic()
            pause_s = self._settings.period_s
            watchdog_s = self._wish.time_s + self._settings.decision_timeout_s - now_s
            if watchdog_s >= 0.0:
                pause_s = min(pause_s, watchdog_s + LATE_S)
            self._condition.wait_for(lambda: self._news or self._stopping, pause_s)
            self._news = False
            return not self._stopping

    def _step(self) -> None:
        with self._condition:
            wish, settings = self._wish, self._settings
        before = self._report
        self._report = self._regulation.step(wish, settings, self._utilization, time.monotonic())
        if _state_of(self._report) != _state_of(before):
            self._on_change()


def _state_of(report: KeeperReport) -> tuple[object, ...]:
    state = [getattr(report, f.name) for f in dataclasses.fields(report) if f.name not in MEASURED]
    return (*map(repr, state), bool(report.errors), bool(report.warnings))  # repr: NaN is NaN
