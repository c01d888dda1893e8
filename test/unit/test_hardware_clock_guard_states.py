"""What a guard takes for the state found, and what it does with one that does not come back."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import hardware_trees
import pytest

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.clocks.found_record import boot_id
from visionscaling_ros.hardware.clocks.no_gpu_clock import NoGpuClock
from visionscaling_ros.hardware.clocks.read_only_gpu_clock import ReadOnlyGpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.state_file import state_file_of
from visionscaling_ros.hardware.state_folder import PLACE

GPU = '/sys/class/devfreq/17000000.gpu'
COOLING = '/sys/class/thermal/cooling_device9'


class HotFiles(DeviceFiles):
    """As the kernel reads back bounds while cooling holds them: the narrower of both."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.cooled_hz: int | None = None
        self.bounds_hz = {
            name: int(self.read(f'{GPU}/{name}')) for name in ('min_freq', 'max_freq')
        }

    def read(self, path: str) -> str:
        name = path.rpartition('/')[2]
        cooled_hz = getattr(self, 'cooled_hz', None)
        if cooled_hz is None or not path.startswith(GPU) or name not in self.bounds_hz:
            return super().read(path)
        return str(min(self.bounds_hz[name], cooled_hz))

    def write(self, path: str, text: str) -> None:
        self.bounds_hz[path.rpartition('/')[2]] = int(text)
        super().write(path, text)


@pytest.fixture
def tree(tmp_path: Path) -> hardware_trees.Tree:
    tree = hardware_trees.agx_orin(tmp_path / 'machine')
    tree.write(f'{GPU}/max_freq', 612000000)  # a power mode's cap
    return tree


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(PLACE, str(tmp_path / 'states'))
    return tmp_path / 'states'


def killed(tree: hardware_trees.Tree, state_file: Path) -> None:
    """A guard that is gone and left the clock set."""
    ClockGuard(DevfreqGpuClock(tree.files), state_file).set_frequency(510e6)


def write_record(state_file: Path, state: Mapping[str, str]) -> None:
    record = {'backend': 'jetson', 'device': GPU, 'state': dict(state), 'boot_id': boot_id()}
    state_file.write_text(json.dumps(record))
    state_file.chmod(0o644)


def test_heat_does_not_make_a_leftover_lose_the_cap_of_the_power_mode(
    tree: hardware_trees.Tree, tmp_path: Path
) -> None:
    killed(tree, tmp_path / 'found')
    files = HotFiles(tree.root)
    files.cooled_hz = 408000000
    for _ in range(2):  # with what the first try changed, too
        guard = ClockGuard(DevfreqGpuClock(files), tmp_path / 'found')
        with guard, pytest.raises(HardwareError, match='reads back'):
            guard.restore_leftover()
        assert files.bounds_hz == {'min_freq': 306000000, 'max_freq': 612000000}
    files.cooled_hz = None
    with ClockGuard(DevfreqGpuClock(files), tmp_path / 'found') as guard:
        assert guard.restore_leftover()
    assert tree.read(f'{GPU}/max_freq') == '612000000'


def test_heat_at_one_level_is_not_taken_for_a_leftover_that_stays(
    tree: hardware_trees.Tree, tmp_path: Path
) -> None:
    killed(tree, tmp_path / 'found')
    tree.write(f'{COOLING}/type', 'devfreq-17000000.gpu')
    tree.write(f'{COOLING}/cur_state', 9)
    files = HotFiles(tree.root)
    files.cooled_hz = 306000000
    guard = ClockGuard(DevfreqGpuClock(files), tmp_path / 'found')
    with guard, pytest.raises(HardwareError, match='reads back'):
        guard.restore_leftover()
    assert files.bounds_hz == {'min_freq': 306000000, 'max_freq': 612000000}


@pytest.mark.parametrize('state', [{}, {'min_freq': '306000000'}, {'min_freq': '-1'}])
def test_a_leftover_that_is_no_state_leaves_the_clock_to_its_governor(
    tree: hardware_trees.Tree, tmp_path: Path, said: list[str], state: dict[str, str]
) -> None:
    write_record(tmp_path / 'found', state)
    with ClockGuard(DevfreqGpuClock(tree.files), tmp_path / 'found', said.append) as guard:
        assert guard.restore_leftover()
    assert 'left to its own governor' in said[0]
    assert tree.read(f'{GPU}/max_freq') == '1300500000'
    assert not (tmp_path / 'found').exists()


def test_what_could_not_be_restored_is_not_set_and_leaves_nothing(
    tree: hardware_trees.Tree, tmp_path: Path
) -> None:
    tree.write(f'{GPU}/governor', 'one_not_listed')
    before = tree.contents()
    with ClockGuard(DevfreqGpuClock(tree.files), tmp_path / 'states' / 'found') as guard:
        with pytest.raises(HardwareError, match='governor'):
            guard.set_frequency(510e6)
        assert not guard.engaged
        assert not (tmp_path / 'states' / 'found').exists()
    assert tree.contents() == before
    with ClockGuard(DevfreqGpuClock(tree.files), tmp_path / 'states' / 'found') as guard:
        assert not guard.restore_leftover()
    assert tree.contents() == before


def test_what_heat_narrows_is_not_taken_for_the_state_found(
    tree: hardware_trees.Tree, tmp_path: Path
) -> None:
    tree.write(f'{COOLING}/type', 'devfreq-17000000.gpu')
    tree.write(f'{COOLING}/cur_state', 1)
    with ClockGuard(DevfreqGpuClock(tree.files), tmp_path / 'found') as guard:
        with pytest.raises(HardwareError, match='cools it'):
            guard.set_frequency(510e6)
        assert not guard.engaged
    assert not (tmp_path / 'found').exists()


class Silent(DevfreqGpuClock):
    """A clock whose driver went while it was set."""

    gone = False

    def restore(self, state: Mapping[str, str]) -> None:
        raise HardwareError('restore')

    def limits_hz(self) -> tuple[float, float]:
        if self.gone:
            raise HardwareError('limits')
        return super().limits_hz()


def test_a_range_that_cannot_be_read_counts_as_held(
    tree: hardware_trees.Tree, tmp_path: Path, said: list[str]
) -> None:
    clock = Silent(tree.files)
    with ClockGuard(clock, tmp_path / 'found', said.append) as guard:
        guard.set_frequency(510e6)
        clock.gone = True
        assert guard.release()
    assert 'left to its own governor' in said[0]
    assert tree.read(f'{GPU}/max_freq') == '1300500000'


@pytest.fixture(params=['no clock', 'read only'])
def nothing_to_set(request: pytest.FixtureRequest, tree: hardware_trees.Tree) -> Iterator[object]:
    inner = DevfreqGpuClock(tree.files)
    return NoGpuClock() if request.param == 'no clock' else ReadOnlyGpuClock(inner, 'not allowed')


def test_two_may_have_nothing_to_set(nothing_to_set: NoGpuClock, tmp_path: Path) -> None:
    first = ClockGuard(nothing_to_set, tmp_path / 'states' / 'found')
    second = ClockGuard(nothing_to_set, tmp_path / 'states' / 'found')
    with first, second:
        assert not first.restore_leftover()
        assert not second.restore_leftover()
        assert not (tmp_path / 'states').exists()


def test_without_levels_a_record_is_still_obeyed(tree: hardware_trees.Tree, tmp_path: Path) -> None:
    before = tree.contents()
    killed(tree, tmp_path / 'found')
    clock = ReadOnlyGpuClock(DevfreqGpuClock(tree.files), 'not allowed')
    with ClockGuard(clock, tmp_path / 'found') as guard:
        assert guard.restore_leftover()
    assert tree.contents() == before


def test_a_clock_found_held_is_said_once_kept_to_and_restored(
    tree: hardware_trees.Tree, tmp_path: Path, said: list[str], place: Path
) -> None:
    tree.write(f'{GPU}/min_freq', 612000000)
    before = tree.contents()
    with ClockGuard(DevfreqGpuClock(tree.files), tmp_path / 'found', said.append) as guard:
        for _ in range(2):
            assert guard.set_frequency(1300.5e6) == 612e6
            guard.release()
            assert tree.contents() == before
    assert len(said) == 1
    assert 'found held at 612 MHz' in said[0]
    assert 'left /' not in said[0]


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can act as two users')
def test_another_users_record_is_named_and_not_obeyed(
    tree: hardware_trees.Tree, said: list[str], place: Path
) -> None:
    clock = DevfreqGpuClock(tree.files)
    mine = state_file_of(clock, tree.root)
    theirs = place / 'visionscaling_ros-65534' / mine.name
    killed(tree, theirs)
    os.chown(theirs, 65534, 65534)
    as_left = tree.contents()
    with ClockGuard(clock, mine, said.append) as guard:
        guard.set_frequency(306e6)
    assert tree.contents() == as_left
    assert f'{theirs} of user 65534' in said[0]
    assert 'visionscaling clocks restore' in said[0]
    assert theirs.exists()


def test_a_record_that_cannot_be_kept_is_not_left_behind(
    tree: hardware_trees.Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree.contents()

    def fail(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):  # after the file was put in its place
            raise OSError(5, 'Input/output error')

    guard = ClockGuard(DevfreqGpuClock(tree.files), tmp_path / 'found')
    guard.own()
    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', fail)
        with pytest.raises(HardwareError, match='Input/output error'):
            guard.set_frequency(510e6)
    guard.close()
    assert not (tmp_path / 'found').exists()
    assert tree.contents() == before
