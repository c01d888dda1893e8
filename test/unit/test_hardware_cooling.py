"""A range that the kernel's cooling narrows is not taken for the one to restore."""

from __future__ import annotations

from pathlib import Path

import pytest
from clockd_helpers import HelperThread
from hardware_trees import Tree, agx_orin, pc

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clock_check import check_clock
from visionscaling_ros.hardware.clockd.clockd_gpu_clock import ClockdGpuClock
from visionscaling_ros.hardware.clocks import cooling
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.cpufreq_gpu_clock import CpufreqGpuClock
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.clocks.read_only_gpu_clock import ReadOnlyGpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles

DEVICE = '/sys/class/thermal/cooling_device3'


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooling, 'SETTLE_S', -1.0)


def _cools(tree: Tree, kind: str, state: object = 2) -> None:
    tree.write(f'{DEVICE}/type', kind)
    tree.write(f'{DEVICE}/cur_state', state)


@pytest.mark.parametrize(
    ('kind', 'holds'),
    [
        ('devfreq-17000000.gpu', True),
        ('thermal-devfreq-0', True),
        ('devfreq-15480000.nvdec', False),
        ('devfreq-17000000xgpu', False),
        ('cpufreq-cpu0', False),
        ('pwm-fan', False),
        ('hot-surface-alert', False),  # tells, narrows nothing
    ],
)
def test_a_gpu_is_held_by_its_own_cooling(kind: str, holds: bool, tmp_path: Path) -> None:
    tree = agx_orin(tmp_path)
    clock = DevfreqGpuClock(tree.files)
    helped = ClockdGpuClock(clock, tmp_path / 'socket')
    for held in (clock, helped, ReadOnlyGpuClock(clock, 'not permitted')):
        _cools(tree, kind, 0)
        assert held.held_by_heat() == ''
        _cools(tree, kind)
        assert (kind in held.held_by_heat()) == holds


@pytest.mark.parametrize(
    ('device', 'kind', 'holds'),
    [
        ('', 'cpufreq-cpu0', False),  # the slower cores
        ('', 'cpufreq-cpu2', True),
        ('policy3', 'cpufreq-cpu2', False),
        ('policy0', 'cpufreq-cpu0', True),
        ('', 'thermal-cpufreq-0', True),
        ('', 'Processor', True),
        ('', 'cpufreq-cpu22', False),
        ('', 'cpufreq-cpu', False),
        ('', 'devfreq-17000000.gpu', False),
        ('', 'intel_powerclamp', False),
    ],
)
def test_processors_are_held_by_their_own_cooling(
    device: str, kind: str, holds: bool, tmp_path: Path
) -> None:
    tree = pc(tmp_path)
    for policy in (0, 1):
        folder = f'/sys/devices/system/cpu/cpufreq/policy{policy}'
        tree.write(f'{folder}/scaling_available_frequencies', '800000')
    clock = CpufreqGpuClock(tree.files, device)
    _cools(tree, kind)
    assert (kind in clock.held_by_heat()) == holds
    _cools(tree, kind, 0)
    assert clock.held_by_heat() == ''


@pytest.mark.parametrize('state', ['', '-', 'nan', '-1'])
def test_a_cooling_device_that_says_nonsense_holds_nothing(state: str, tmp_path: Path) -> None:
    tree = agx_orin(tmp_path)
    _cools(tree, 'thermal-devfreq-0', state)
    assert DevfreqGpuClock(tree.files).held_by_heat() == ''
    tree.remove(f'{DEVICE}/cur_state')
    assert DevfreqGpuClock(tree.files).held_by_heat() == ''


def test_a_clock_is_held_until_the_range_had_time_to_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cooling, 'SETTLE_S', 3600.0)
    tree = pc(tmp_path)
    clock = CpufreqGpuClock(tree.files)
    _cools(tree, 'Processor', 0)
    assert clock.held_by_heat() == ''
    _cools(tree, 'Processor', 1)
    words = clock.held_by_heat()
    _cools(tree, 'Processor', 0)
    assert clock.held_by_heat() == words != ''


class NarrowedFiles(DeviceFiles):
    """A devfreq node of which max_freq reads no more than the cooling allows, as the kernel's."""

    cooled_hz = 1 << 62

    def read(self, path: str) -> str:
        text = super().read(path)
        return str(min(int(text), self.cooled_hz)) if path.endswith('/max_freq') else text


@pytest.fixture
def hot(tmp_path: Path) -> tuple[Tree, NarrowedFiles, GpuClock]:
    tree = agx_orin(tmp_path / 'machine')
    files = NarrowedFiles(tree.root)
    files.cooled_hz = 612_000_000
    _cools(tree, 'devfreq-17000000.gpu')
    return tree, files, DevfreqGpuClock(files)


def test_what_heat_left_of_the_range_never_becomes_the_state_found(
    hot: tuple[Tree, NarrowedFiles, GpuClock], tmp_path: Path
) -> None:
    tree, files, clock = hot
    before, record = tree.contents(), tmp_path / 'found'
    with ClockGuard(clock, record) as guard:
        with pytest.raises(HardwareError, match=r'cools it \(devfreq-17000000\.gpu\)'):
            guard.set_frequency(510e6)
        assert (tree.contents(), record.exists()) == (before, False)
        files.cooled_hz = 1 << 62
        _cools(tree, 'devfreq-17000000.gpu', 0)
        assert guard.set_frequency(1300.5e6) == 1300.5e6
    assert tree.read(f'{tree.gpu}/max_freq') == '1300500000'


def test_the_helper_does_not_set_a_hot_clock_either(
    hot: tuple[Tree, NarrowedFiles, GpuClock], tmp_path: Path
) -> None:
    tree, files, clock = hot
    before = tree.contents()
    with HelperThread(tmp_path, [clock]) as helper:
        client = ClockdGpuClock(DevfreqGpuClock(files), helper.socket_path)
        with pytest.raises(HardwareError, match=r'cools it \(devfreq-17000000\.gpu\)'):
            client.set_frequency(510e6)
        assert tree.contents() == before
        files.cooled_hz = 1 << 62
        _cools(tree, 'devfreq-17000000.gpu', 0)
        assert client.set_frequency(1300.5e6) == 1300.5e6
        client.release()
    assert tree.read(f'{tree.gpu}/max_freq') == '1300500000'


def test_a_hot_clock_is_not_checked(
    hot: tuple[Tree, NarrowedFiles, GpuClock], tmp_path: Path
) -> None:
    tree, _, clock = hot
    before = tree.contents()
    with pytest.raises(HardwareError, match='cools it'):
        check_clock(ClockGuard(clock, tmp_path / 'found'), hold_s=0.0)
    assert tree.contents() == before
