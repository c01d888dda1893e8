"""Which sensors belong to a clock, what they say, and what a board says of slowing itself down."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hardware_trees import JETSONS, TREES, Tree, agx_orin, bare, cpu_board, orin_nano, pc, thor, tx2

from visionscaling_ros.hardware.clocks.cpufreq_gpu_clock import CpufreqGpuClock
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import EmulatedGpuClock
from visionscaling_ros.hardware.clocks.no_gpu_clock import NoGpuClock
from visionscaling_ros.hardware.thermal.board_throttle import HOLD_S, BoardReasons
from visionscaling_ros.hardware.thermal.choice import open_board_throttle, open_thermometer
from visionscaling_ros.hardware.thermal.throttle import Throttle

NOTHING = BoardReasons()


def gpu_temperature_c(tree: Tree) -> float:
    thermometer = open_thermometer(DevfreqGpuClock(tree.files), tree.files)
    assert thermometer is not None
    return thermometer.read_c()


@pytest.mark.parametrize('name', JETSONS)
def test_every_jetson_tells_the_temperature_of_its_gpu(name: str, tmp_path: Path) -> None:
    tree = JETSONS[name](tmp_path)
    assert gpu_temperature_c(tree) == 1e-3 * float(tree.read(tree.gpu_temperature))
    tree.write(tree.gpu_temperature, 87250)
    assert gpu_temperature_c(tree) == 87.25


@pytest.mark.parametrize('offline', ['-256000', '', 'N/A', None])
def test_a_gpu_without_power_is_as_hot_as_the_junction(tmp_path: Path, offline: str | None) -> None:
    tree = agx_orin(tmp_path)
    junction = next(
        path
        for path in tree.files.find('/sys/class/thermal/thermal_zone*/type')
        if tree.read(path) == 'tj-thermal'
    )
    tree.write(junction.replace('type', 'temp'), 66000)
    if offline is None:
        tree.remove(tree.gpu_temperature)
    else:
        tree.write(tree.gpu_temperature, offline)
    assert gpu_temperature_c(tree) == 66.0


def test_no_sensor_left_is_no_temperature(tmp_path: Path) -> None:
    tree = tx2(tmp_path)
    tree.remove(tree.gpu_temperature)
    assert math.isnan(gpu_temperature_c(tree))


def test_the_cpu_clock_is_as_hot_as_the_hottest_of_its_sensors(tmp_path: Path) -> None:
    for build, hot_type in ((pc, 'x86_pkg_temp'), (cpu_board, 'cpu-thermal')):
        tree = build(tmp_path / build.__name__)
        zone = next(
            path.removesuffix('type')
            for path in tree.files.find('/sys/class/thermal/thermal_zone*/type')
            if tree.read(path) == hot_type
        )
        tree.write(f'{zone}temp', 71000)
        thermometer = open_thermometer(CpufreqGpuClock(tree.files), tree.files)
        assert thermometer is not None
        assert thermometer.read_c() == 71.0
        chip = '/sys/class/hwmon/hwmon7'
        tree.write(f'{chip}/name', 'k10temp')
        tree.write(f'{chip}/temp1_input', 74500)
        thermometer = open_thermometer(CpufreqGpuClock(tree.files), tree.files)
        assert thermometer is not None
        assert thermometer.read_c() == 74.5


def test_an_emulated_clock_has_no_temperature_and_a_bare_machine_no_sensor(tmp_path: Path) -> None:
    tree = orin_nano(tmp_path / 'orin')
    assert open_thermometer(EmulatedGpuClock(tmp_path / 'register'), tree.files) is None
    assert open_thermometer(NoGpuClock(), bare(tmp_path / 'bare').files) is None
    assert open_thermometer(NoGpuClock(), pc(tmp_path / 'pc').files) is None
    without_clock = open_thermometer(NoGpuClock(), tree.files)
    assert without_clock is not None
    assert without_clock.read_c() == 1e-3 * float(tree.read(tree.gpu_temperature))


@pytest.mark.parametrize('build', [orin_nano, thor])
def test_over_current_holds_for_a_while_after_its_counter_grew(build, tmp_path: Path) -> None:
    tree = build(tmp_path)
    counter = next(iter(tree.files.find('/sys/class/hwmon/hwmon*/oc2_event_cnt')), '')
    if not counter:
        counter = '/sys/class/hwmon/hwmon9/oc2_event_cnt'
        tree.write(counter, 0)
    tree.write(counter, 15)  # since boot, before anybody looked
    board = open_board_throttle(DevfreqGpuClock(tree.files), tree.files)
    assert board.read(0.0) == NOTHING
    tree.write(counter, 16)
    told = board.read(1.0)
    assert told == BoardReasons(Throttle.BOARD_POWER, 'average over-current (oc2)')
    assert board.read(1.0 + HOLD_S) == told
    assert board.read(1.1 + HOLD_S) == NOTHING


def test_a_counter_that_vanishes_or_says_nonsense_tells_nothing(tmp_path: Path) -> None:
    tree = orin_nano(tmp_path)
    (counter, *_) = tree.files.find('/sys/class/hwmon/hwmon*/oc1_event_cnt')
    board = open_board_throttle(DevfreqGpuClock(tree.files), tree.files)
    for now_s, text in enumerate(('3', '', 'nan', '-', '3')):
        tree.write(counter, text)
        assert board.read(float(now_s)) == NOTHING
    tree.remove(counter)
    assert board.read(9.0) == NOTHING
    tree.write(counter, 4)
    assert board.read(10.0).reason == Throttle.BOARD_POWER


@pytest.mark.parametrize(
    ('kind', 'counts'),
    [
        ('devfreq-17000000.gpu', True),
        ('thermal-devfreq-0', True),
        ('gpu-throttle-alert', True),
        ('hot-surface-alert', True),
        ('pwm-fan', False),
        ('devfreq-15480000.nvdec', False),
        ('cpufreq-cpu0', False),
    ],
)
def test_cooling_of_the_gpu_is_told_and_no_other(kind: str, counts: bool, tmp_path: Path) -> None:
    tree = agx_orin(tmp_path)
    tree.write('/sys/class/thermal/cooling_device0/type', kind)
    tree.write('/sys/class/thermal/cooling_device0/cur_state', 0)
    board = open_board_throttle(DevfreqGpuClock(tree.files), tree.files)
    assert board.read(0.0) == NOTHING
    tree.write('/sys/class/thermal/cooling_device0/cur_state', 3)
    expected = BoardReasons(Throttle.BOARD_THERMAL, f'too hot ({kind})') if counts else NOTHING
    assert board.read(1.0) == expected
    tree.write('/sys/class/thermal/cooling_device0/cur_state', 0)
    assert board.read(2.0) == NOTHING


@pytest.mark.parametrize(
    ('kind', 'counts'),
    [
        ('cpufreq-cpu0', True),
        ('thermal-cpufreq-1', True),
        ('Processor', True),
        ('cpufreq-cpu10', False),
        ('thermal-devfreq-0', False),
        ('pwm-fan', False),
    ],
)
def test_cooling_of_the_processor_is_told_and_no_other(
    kind: str, counts: bool, tmp_path: Path
) -> None:
    tree = pc(tmp_path)
    tree.write('/sys/class/thermal/cooling_device0/type', kind)
    tree.write('/sys/class/thermal/cooling_device0/cur_state', 1)
    board = open_board_throttle(CpufreqGpuClock(tree.files), tree.files)
    expected = BoardReasons(Throttle.BOARD_THERMAL, f'too hot ({kind})') if counts else NOTHING
    assert board.read(0.0) == expected


def test_a_processor_tells_that_it_is_too_hot_by_its_counters(tmp_path: Path) -> None:
    tree = pc(tmp_path)
    counter = '/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count'
    tree.write(counter, 2)
    board = open_board_throttle(CpufreqGpuClock(tree.files), tree.files)
    assert board.read(0.0) == NOTHING
    tree.write(counter, 5)
    assert board.read(1.0).reason == Throttle.BOARD_THERMAL


@pytest.mark.parametrize('name', TREES)
def test_looking_changes_nothing(name: str, tmp_path: Path) -> None:
    tree = TREES[name](tmp_path)
    before = tree.contents()
    thermometer = open_thermometer(NoGpuClock(), tree.files)
    if thermometer is not None:
        thermometer.read_c()
        thermometer.close()
    board = open_board_throttle(NoGpuClock(), tree.files)
    assert board.read(0.0) == NOTHING
    assert tree.contents() == before
