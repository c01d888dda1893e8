"""The helper beside processes that set a clock themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hardware_trees
import pytest
from clockd_helpers import HelperProcess

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.state_file import state_file_of
from visionscaling_ros.hardware.state_folder import PLACE

ROOT = Path(__file__).resolve().parents[2]
DIRECT = """
import sys
from pathlib import Path
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
clock = DevfreqGpuClock(DeviceFiles(Path(sys.argv[1])))
guard = ClockGuard(clock, Path(sys.argv[2]))
guard.set_frequency(306e6)
print('set', flush=True)
sys.stdin.readline()
guard.release()
print('released', flush=True)
sys.stdin.readline()
"""


class Direct:
    """A process that set the clock itself."""

    def __init__(self, tree: hardware_trees.Tree, state_file: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, '-c', DIRECT, str(tree.root), str(state_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.expect('set')

    def expect(self, words: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f'{words}\n'

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write('\n')
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(PLACE, str(tmp_path / 'states'))
    return tmp_path / 'states'


@pytest.fixture
def tree(tmp_path: Path) -> hardware_trees.Tree:
    return hardware_trees.agx_orin(tmp_path / 'machine')


@pytest.fixture
def record(tree: hardware_trees.Tree) -> Path:
    return state_file_of(DevfreqGpuClock(tree.files), tree.root)


@pytest.fixture
def helper(tmp_path: Path, tree: hardware_trees.Tree) -> Iterator[HelperProcess]:
    helper = HelperProcess(tmp_path, tree)
    yield helper
    helper.close()


def test_what_a_killed_process_left_is_restored_when_it_starts(
    tmp_path: Path, tree: hardware_trees.Tree, record: Path
) -> None:
    before = tree.contents()
    Direct(tree, record).kill()
    assert tree.contents() != before
    helper = HelperProcess(tmp_path, tree)
    try:
        assert tree.contents() == before
        assert not record.exists()
        assert helper.clock().set_frequency(1300.5e6) == 1300.5e6
    finally:
        helper.close()


def test_what_a_process_left_that_was_killed_later_is_not_taken_for_the_state_found(
    tree: hardware_trees.Tree, record: Path, helper: HelperProcess
) -> None:
    before = tree.contents()
    Direct(tree, record).kill()
    clock = helper.clock()
    assert clock.set_frequency(1300.5e6) == 1300.5e6
    assert not record.exists()
    assert helper.signal(signal.SIGTERM) == 0
    assert tree.contents() == before


@pytest.mark.parametrize('folder', ['', 'elsewhere'])
def test_who_sets_it_keeps_clients_from_it_until_it_is_released(
    tmp_path: Path, tree: hardware_trees.Tree, record: Path, helper: HelperProcess, folder: str
) -> None:
    before = tree.contents()
    direct = Direct(tree, tmp_path / folder / 'found' if folder else record)
    clock = helper.clock()
    with pytest.raises(HardwareError, match=r'already set by (process|another)'):
        clock.set_frequency(510e6)
    assert DevfreqGpuClock(tree.files).limits_hz() == (306e6, 306e6)
    direct.go_on()
    direct.expect('released')
    if folder:
        assert clock.set_frequency(510e6) == 510e6
    else:  # it owns its record, so it may set it again
        with pytest.raises(HardwareError, match=f'already set by process {direct.process.pid}'):
            clock.set_frequency(510e6)
    direct.kill()
    assert clock.set_frequency(510e6) == 510e6
    clock.release()
    assert tree.contents() == before


def test_who_sets_it_keeps_others_from_it_until_it_is_released(
    tmp_path: Path, tree: hardware_trees.Tree, record: Path, helper: HelperProcess
) -> None:
    before = tree.contents()
    clock = helper.clock()
    clock.set_frequency(510e6)
    for state_file in (record, tmp_path / 'elsewhere' / 'found'):
        with ClockGuard(DevfreqGpuClock(tree.files), state_file) as guard:
            for attempt in (guard.restore_leftover, lambda: guard.set_frequency(306e6)):
                with pytest.raises(HardwareError, match=f'process {helper.process.pid}|another'):
                    attempt()
    clock.release()
    for state_file in (record, tmp_path / 'elsewhere' / 'found'):
        with ClockGuard(DevfreqGpuClock(tree.files), state_file) as guard:
            assert guard.set_frequency(306e6) == 306e6
    assert tree.contents() == before


def test_its_own_record_waits_for_who_sets_the_clock_now(
    tmp_path: Path, tree: hardware_trees.Tree, helper: HelperProcess
) -> None:
    before = tree.contents()
    killed = helper.clock()  # kept: its connection ends with it, and then the helper restores
    killed.set_frequency(510e6)
    helper.signal(signal.SIGKILL)
    direct = Direct(tree, tmp_path / 'elsewhere' / 'found')
    helper.restart()
    assert DevfreqGpuClock(tree.files).limits_hz() == (306e6, 306e6)
    direct.go_on()
    direct.expect('released')
    direct.kill()
    clock = helper.clock()
    assert clock.set_frequency(1300.5e6) == 1300.5e6
    clock.release()
    assert tree.contents() == before
    assert helper.signal(signal.SIGTERM) == 0  # from here on no line is missing
    assert sum('is not restored yet' in line for line in helper.lines) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can act as two users')
def test_another_users_record_is_told_and_not_obeyed(
    tree: hardware_trees.Tree, place: Path, record: Path, helper: HelperProcess
) -> None:
    theirs = place / 'visionscaling_ros-65534' / record.name
    Direct(tree, theirs).kill()
    os.chown(theirs, 65534, 65534)
    left = tree.contents()
    clock = helper.clock()
    assert clock.set_frequency(1300.5e6) == 306e6  # nothing above what it was found held at
    clock.release()
    assert tree.contents() == left
    assert helper.signal(signal.SIGTERM) == 0
    (said,) = [line for line in helper.lines if 'found held at 306 MHz' in line]
    assert f'{theirs} of user 65534' in said
