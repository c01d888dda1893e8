"""One look after another at a Jetson's tree: wishes, bounds, heat, fights and failures."""

from __future__ import annotations

import dataclasses
import errno
import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hardware_trees import Tree, agx_orin

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clock_regulation import ClockRegulation, Wish
from visionscaling_ros.hardware.clocks import cooling
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.keeper_settings import KeeperReport, KeeperSettings
from visionscaling_ros.hardware.thermal.choice import open_board_throttle, open_thermometer
from visionscaling_ros.hardware.thermal.throttle import Throttle

SLOT_S = 1.0


class RefusingFiles(DeviceFiles):
    """A kernel that refuses every write while ``error`` is set."""

    error = 0

    def write(self, path: str, text: str) -> None:
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        super().write(path, text)


class Machine:
    """An AGX Orin's tree and who regulates its GPU; time is what a test says."""

    def __init__(self, folder: Path) -> None:
        self.tree: Tree = agx_orin(folder / 'orin')
        self.original = self.tree.contents()
        self.files = RefusingFiles(self.tree.root)
        self.clock = DevfreqGpuClock(self.files)
        self.guard = ClockGuard(self.clock, folder / 'found')
        self.regulation = ClockRegulation(
            self.guard,
            open_thermometer(self.clock, self.files),
            open_board_throttle(self.clock, self.files),
        )
        self.settings = KeeperSettings()
        self.wish = Wish()
        self.utilization = math.nan
        self.now_s = 100.0

    def wants(self, frequency_hz: float) -> KeeperReport:
        self.wish = Wish(frequency_hz, SLOT_S, self.now_s)
        return self.step(0.0)

    def step(self, later_s: float = 0.2) -> KeeperReport:
        self.now_s += later_s
        return self.regulation.step(self.wish, self.settings, self.utilization, self.now_s)

    @property
    def limits(self) -> tuple[str, str]:
        return self.tree.read(f'{self.tree.gpu}/min_freq'), self.tree.read(
            f'{self.tree.gpu}/max_freq'
        )

    def somebody_sets(self, lowest_hz: int, highest_hz: int) -> None:
        self.tree.write(f'{self.tree.gpu}/min_freq', lowest_hz)
        self.tree.write(f'{self.tree.gpu}/max_freq', highest_hz)

    def heat(self, temperature_c: float) -> None:
        self.tree.write(self.tree.gpu_temperature, round(1000 * temperature_c))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.files.error = 0
    machine.guard.close()
    assert machine.tree.contents().keys() == machine.original.keys()


def test_a_wish_is_set_verified_and_undone(machine: Machine) -> None:
    report = machine.wants(550e6)
    assert machine.limits == ('612000000', '612000000')
    assert report.set_frequency_hz == report.target_frequency_hz == 612e6
    assert report.requested_frequency_hz == 550e6
    assert report.temperature_c == 41.75
    assert report.sets == 1
    assert report.set_latency_s >= 0.0
    assert (report.errors, report.warnings, report.throttle) == ((), (), Throttle.NONE)
    report = machine.wants(0.0)
    assert report.set_frequency_hz == 0.0
    assert machine.tree.contents() == machine.original


def test_the_same_wish_again_writes_nothing(machine: Machine) -> None:
    assert [machine.wants(612e6).sets for _ in range(5)] == [1] * 5
    machine.regulation.release()


def test_a_power_modes_cap_is_kept_and_told(machine: Machine) -> None:
    machine.somebody_sets(306000000, 612000000)
    report = machine.wants(816e6)
    assert machine.limits == ('612000000', '612000000')
    assert report.set_frequency_hz == report.ceiling_frequency_hz == 612e6
    assert report.throttle == Throttle.POWER_MODE
    assert '612 MHz by the power mode' in report.throttle_words
    assert (report.errors, report.warnings) == ((), ())
    assert machine.wants(408e6).throttle == Throttle.NONE
    machine.wants(0.0)
    assert machine.limits == ('306000000', '612000000')
    machine.somebody_sets(306000000, 1300500000)
    assert machine.wants(816e6).ceiling_frequency_hz == math.inf
    machine.regulation.release()


def test_without_levels_a_wish_is_left_to_the_device(machine: Machine) -> None:
    machine.tree.write(f'{machine.tree.gpu}/available_frequencies', '')
    report = machine.wants(816e6)
    assert (report.target_frequency_hz, report.throttle, report.errors) == (0.0, 0, ())


def test_a_wish_that_grows_old_is_given_back(machine: Machine) -> None:
    machine.wants(612e6)
    assert not machine.step(3.0).timed_out
    report = machine.step(0.01)
    assert report.timed_out
    assert report.requested_frequency_hz == report.set_frequency_hz == 0.0
    assert machine.tree.contents() == machine.original


def test_the_soft_limit_caps_and_the_hard_limit_hands_back(machine: Machine) -> None:
    machine.settings = KeeperSettings(decision_timeout_s=1000.0)
    machine.wants(1.3e9)
    machine.heat(86)
    reports = [machine.step(1.0) for _ in range(3)]
    assert [report.set_frequency_hz for report in reports] == [1224e6, 1122e6, 1020e6]
    assert reports[0].throttle == Throttle.SOFT_LIMIT
    assert reports[0].ceiling_frequency_hz == 1224e6
    assert 'heat' in reports[0].warnings[0]
    machine.heat(95)
    report = machine.step()
    assert report.throttle == Throttle.HARD_LIMIT
    assert report.ceiling_frequency_hz == report.set_frequency_hz == 0.0
    assert report.errors
    expected = {**machine.original, **{p: t for p, t in machine.tree.contents().items() if
                                       p.endswith('/temp')}}  # fmt: skip
    assert machine.tree.contents() == expected
    machine.heat(60)
    assert machine.step().set_frequency_hz == 306e6


def test_a_lost_thermometer_hands_back_and_says_so(machine: Machine) -> None:
    machine.settings = KeeperSettings(decision_timeout_s=1000.0)
    machine.wants(612e6)
    for path in machine.tree.files.find('/sys/class/thermal/thermal_zone*/temp'):
        machine.tree.write(path, -256000)
    assert machine.step().set_frequency_hz == 612e6
    report = machine.step(3.0)
    assert report.set_frequency_hz == 0.0
    assert math.isnan(report.temperature_c)
    assert 'no temperature' in report.errors[0]


def test_what_somebody_else_writes_is_told_and_set_again_once_a_slot(machine: Machine) -> None:
    machine.settings = KeeperSettings(decision_timeout_s=1000.0)
    machine.wants(612e6)
    machine.somebody_sets(306000000, 1300500000)
    report = machine.step(0.2)
    assert report.throttle == Throttle.OVERWRITTEN
    assert report.overwritten == 1
    assert report.sets == 1
    assert 'nvpmodel' in report.warnings[0]
    report = machine.step(0.8)
    assert report.sets == 2
    assert machine.limits == ('612000000', '612000000')
    for sets in (3, 4):
        machine.somebody_sets(306000000, 1300500000)
        assert machine.step(0.2).sets == sets - 1
        assert machine.step(0.8).sets == sets
    machine.somebody_sets(306000000, 1300500000)
    report = machine.step(0.2)
    assert report.overwritten == 4
    assert 'times in a row' in report.errors[0]


def test_a_clock_that_is_not_in_effect_carries_the_boards_own_reason(machine: Machine) -> None:
    machine.settings = KeeperSettings(decision_timeout_s=1000.0)
    machine.tree.write(f'{machine.tree.gpu}/cur_freq', 612000000)
    machine.wants(612e6)
    machine.utilization = 0.9
    assert not machine.step(1.0).throttle
    machine.tree.write(f'{machine.tree.gpu}/cur_freq', 306000000)
    (counter, *_) = machine.tree.files.find('/sys/class/hwmon/hwmon*/oc3_event_cnt')
    machine.tree.write(counter, 7)
    report = machine.step()
    assert report.throttle == Throttle.NOT_IN_EFFECT | Throttle.BOARD_POWER
    assert 'instantaneous over-current (oc3)' in report.throttle_words
    assert 'runs at 306 MHz' in report.throttle_words


@pytest.mark.parametrize('error', [errno.EINVAL, errno.EACCES, errno.EBUSY, errno.EIO])
def test_a_refused_set_is_told_and_tried_again_a_slot_later(machine: Machine, error: int) -> None:
    machine.settings = KeeperSettings(decision_timeout_s=1000.0)
    machine.files.error = error
    report = machine.wants(612e6)
    assert report.set_frequency_hz == 0.0
    assert machine.tree.gpu in report.errors[0]
    assert machine.step(0.9).sets == 1
    machine.files.error = 0
    report = machine.step(0.1)
    assert report.set_frequency_hz == 612e6
    assert not report.errors


def test_a_failed_restore_names_the_files_and_what_to_write(machine: Machine) -> None:
    machine.wants(612e6)
    machine.files.error = errno.EACCES
    with pytest.raises(HardwareError) as caught:
        machine.regulation.release()
    for words in (machine.tree.gpu, 'min_freq = 306000000', 'max_freq = 1300500000'):
        assert words in str(caught.value)


def test_bounds_that_change_hold_at_once_and_impossible_ones_hand_back(machine: Machine) -> None:
    machine.wants(1.3e9)
    machine.settings = dataclasses.replace(machine.settings, max_frequency_hz=700e6)
    assert machine.step().set_frequency_hz == 612e6
    machine.settings = dataclasses.replace(machine.settings, min_frequency_hz=620e6)
    report = machine.step()
    assert report.set_frequency_hz == 0.0
    assert 'no level lies between' in report.errors[0]
    assert machine.tree.contents() == machine.original


def test_levels_that_change_or_vanish_are_followed(machine: Machine) -> None:
    levels = f'{machine.tree.gpu}/available_frequencies'
    machine.wants(612e6)
    machine.tree.write(levels, '306000000 510000000 714000000 1300500000')
    assert machine.step().set_frequency_hz == 714e6
    machine.tree.write(levels, '')
    report = machine.step()
    assert report.available_frequencies_hz == ()
    assert report.set_frequency_hz == 0.0
    machine.tree.write(levels, ' '.join(map(str, machine.tree.levels_hz)))


def test_a_dry_run_decides_everything_and_writes_nothing(machine: Machine, tmp_path: Path) -> None:
    machine.settings = KeeperSettings(dry_run=True)
    report = machine.wants(550e6)
    assert report.target_frequency_hz == 612e6
    assert report.set_frequency_hz == 0.0
    assert report.sets == 0
    machine.regulation.release()
    assert machine.tree.contents() == machine.original
    assert not list(tmp_path.glob('found*'))


def test_a_range_that_cooling_holds_is_left_until_that_ends(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cooling, 'SETTLE_S', -1.0)
    device = '/sys/class/thermal/cooling_device0'
    machine.tree.write(f'{device}/type', 'devfreq-17000000.gpu')
    machine.tree.write(f'{device}/cur_state', 4)
    machine.original = machine.tree.contents()
    machine.somebody_sets(306000000, 612000000)  # as the kernel has it read while it cools
    report = machine.wants(816e6)
    assert machine.limits == ('306000000', '612000000')
    assert report.throttle == Throttle.BOARD_THERMAL
    assert 'cools it (devfreq-17000000.gpu)' in report.throttle_words
    assert (report.set_frequency_hz, report.target_frequency_hz) == (0.0, 816e6)
    assert report.ceiling_frequency_hz == math.inf
    assert (report.errors, report.sets, machine.guard.engaged) == ((), 0, False)
    machine.somebody_sets(306000000, 1300500000)
    machine.tree.write(f'{device}/cur_state', 0)
    report = machine.step()  # long before the slot is over
    assert (report.set_frequency_hz, report.throttle) == (816e6, Throttle.NONE)
    machine.wants(0.0)
    assert machine.limits == ('306000000', '1300500000')


def test_cooling_that_begins_while_a_clock_is_set_changes_nothing_of_what_was_found(
    machine: Machine,
) -> None:
    machine.wants(816e6)
    device = '/sys/class/thermal/cooling_device0'
    machine.tree.write(f'{device}/type', 'devfreq-17000000.gpu')
    machine.tree.write(f'{device}/cur_state', 4)
    machine.original = machine.tree.contents()
    report = machine.wants(510e6)
    assert report.set_frequency_hz == 510e6
    machine.tree.write(f'{device}/cur_state', 0)
    machine.wants(0.0)
    assert machine.limits == ('306000000', '1300500000')
