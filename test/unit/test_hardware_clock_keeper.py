"""The keeper's thread: it obeys the newest wish, watches over itself and always lets go."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.bounded_call import call_within
from visionscaling_ros.hardware.clock_keeper import HANG_S, ClockKeeper
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import EmulatedGpuClock
from visionscaling_ros.hardware.keeper_settings import KeeperReport, KeeperSettings

TIMEOUT_S = 20.0
PATIENT = KeeperSettings(decision_timeout_s=1000.0, period_s=0.02)


class GatedClock(EmulatedGpuClock):
    """A driver whose sets hang while the gate is closed, and raise what it is told to."""

    def __init__(self, register: Path) -> None:
        super().__init__(register)
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.trouble: Exception | None = None
        self.stuck = ''

    def set_frequency(self, frequency_hz: float) -> float:
        self.entered.set()
        assert self.gate.wait(TIMEOUT_S)
        if self.trouble is not None:
            raise self.trouble
        return super().set_frequency(frequency_hz)

    def restore(self, state) -> None:
        if self.stuck:
            raise HardwareError(self.stuck)
        super().restore(state)

    def release(self) -> None:
        if self.stuck:
            raise HardwareError(self.stuck)
        super().release()


class Kept:
    """A keeper, and news of its reports."""

    def __init__(self, folder: Path, settings: KeeperSettings = PATIENT) -> None:
        self.clock = GatedClock(folder / 'register')
        self.guard = ClockGuard(self.clock, folder / 'found')
        self._news = threading.Condition()
        self.keeper = ClockKeeper(self.guard, None, settings, self._tell)
        self.keeper.start()

    def _tell(self) -> None:
        with self._news:
            self._news.notify_all()

    def wait(self, predicate: Callable[[KeeperReport], object]) -> KeeperReport:
        with self._news:
            assert self._news.wait_for(lambda: predicate(self.keeper.report()), TIMEOUT_S), (
                self.keeper.report()
            )
        return self.keeper.report()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path)
    yield kept
    kept.clock.gate.set()
    kept.clock.stuck = ''
    with contextlib.suppress(HardwareError):  # it tells again what a test had go wrong
        kept.keeper.stop(TIMEOUT_S)
    kept.guard.close()
    assert kept.clock.state() == {'register': ''}


def test_the_newest_wish_wins_and_stop_restores(kept: Kept) -> None:
    kept.clock.gate.clear()
    kept.keeper.wish(306e6, 1.0)
    assert kept.clock.entered.wait(TIMEOUT_S)
    for frequency_hz in (408e6, 510e6, 612e6):
        kept.keeper.wish(frequency_hz, 1.0)
    kept.clock.gate.set()
    assert kept.wait(lambda report: report.set_frequency_hz == 612e6).sets == 2
    kept.keeper.stop(TIMEOUT_S)
    report = kept.keeper.report()
    assert (report.set_frequency_hz, report.frequency_hz) == (0.0, 1300.5e6)
    assert kept.clock.state() == {'register': ''}


def test_without_wishes_the_clock_is_given_back_and_taken_again(tmp_path: Path) -> None:
    kept = Kept(tmp_path, KeeperSettings(decision_timeout_s=0.3, period_s=1000.0))
    kept.keeper.wish(306e6, 1.0)
    kept.wait(lambda report: report.set_frequency_hz == 306e6)
    assert kept.wait(lambda report: report.timed_out).set_frequency_hz == 0.0
    assert kept.clock.frequency_hz() == 1300.5e6
    kept.keeper.wish(408e6, 1.0)
    kept.wait(lambda report: report.set_frequency_hz == 408e6)
    kept.keeper.stop(TIMEOUT_S)
    kept.guard.close()


def test_other_settings_hold_at_once(kept: Kept) -> None:
    kept.keeper.wish(1.3e9, 1.0)
    kept.wait(lambda report: report.set_frequency_hz == 1300.5e6)
    kept.keeper.settings = KeeperSettings(max_frequency_hz=7e8, decision_timeout_s=1000.0)
    kept.wait(lambda report: report.set_frequency_hz == 612e6)


@pytest.mark.parametrize(
    ('frequency_hz', 'slot_s'), [(-1.0, 1.0), (math.nan, 1.0), (math.inf, 1.0), (1e9, 0.0)]
)
def test_a_wish_that_makes_no_sense_is_refused_and_changes_nothing(
    kept: Kept, frequency_hz: float, slot_s: float
) -> None:
    kept.keeper.wish(510e6, 1.0)
    kept.wait(lambda report: report.set_frequency_hz == 510e6)
    with pytest.raises(InvalidValueError):
        kept.keeper.wish(frequency_hz, slot_s)
    assert kept.clock.frequency_hz() == 510e6


def test_a_driver_that_hangs_holds_up_nobody_and_is_told(kept: Kept) -> None:
    kept.clock.gate.clear()
    kept.keeper.wish(306e6, 1.0)
    assert kept.clock.entered.wait(TIMEOUT_S)
    with pytest.raises(HardwareError, match='has not answered') as caught:
        kept.keeper.stop(0.05)
    assert 'visionscaling clocks restore' in str(caught.value)
    while not kept.keeper.report().errors:  # HANG_S later
        threading.Event().wait(HANG_S / 10)
    assert 'has not answered' in kept.keeper.report().errors[0]
    with pytest.raises(HardwareError, match='closing'):
        call_within(0.05, 'closing it', kept.guard.close)
    kept.clock.gate.set()  # it answers at last: nothing stays set
    kept.keeper.stop(TIMEOUT_S)
    assert kept.clock.state() == {'register': ''}


@pytest.mark.parametrize('trouble', [OSError(5, 'I/O error'), ZeroDivisionError('driver')])
def test_whatever_a_driver_raises_the_thread_goes_on(kept: Kept, trouble: Exception) -> None:
    kept.clock.trouble = trouble
    kept.keeper.wish(306e6, 0.05)
    kept.wait(lambda report: report.errors)
    kept.clock.trouble = None
    kept.keeper.wish(408e6, 0.05)
    report = kept.wait(lambda report: report.set_frequency_hz == 408e6)
    assert not report.errors


def test_a_failed_restore_is_raised_with_what_to_do_by_hand(kept: Kept) -> None:
    kept.keeper.wish(306e6, 1.0)
    kept.wait(lambda report: report.set_frequency_hz == 306e6)
    kept.clock.stuck = 'register cannot be written: no space'
    with pytest.raises(HardwareError, match='no space; by hand: register = '):
        kept.keeper.stop(TIMEOUT_S)


def test_a_keeper_that_was_never_started_stops(tmp_path: Path) -> None:
    guard = ClockGuard(EmulatedGpuClock(tmp_path / 'register'), tmp_path / 'found')
    ClockKeeper(guard, None, PATIENT).stop(0.0)
