"""One process sets a device, whichever user it belongs to and wherever it keeps its records."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hardware_trees
import pytest

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.cpufreq_gpu_clock import CpufreqGpuClock
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.clocks.device_lock import DeviceLock
from visionscaling_ros.hardware.clocks.owner_lock import OwnedError
from visionscaling_ros.trials.clock_kills.machine_tree import write_machine
from visionscaling_ros.trials.clock_kills.tree_watch import TreeWatch

ROOT = Path(__file__).resolve().parents[2]
SYSFS = Path('/sys/kernel/mm/transparent_hugepage/enabled')
HOLD = """
import sys
from pathlib import Path
from visionscaling_ros.hardware.clocks.device_lock import DeviceLock
lock = DeviceLock([Path(sys.argv[1])], 'it')
lock.take()
print('held', flush=True)
sys.stdin.read()
"""


@pytest.fixture
def tree(tmp_path: Path) -> hardware_trees.Tree:
    return hardware_trees.agx_orin(tmp_path / 'machine')


@pytest.fixture(params=['plain file', 'sysfs'])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == 'sysfs':
        if not os.access(SYSFS, os.W_OK):
            pytest.skip('no attribute in sysfs that may be written here')
        return SYSFS
    (tmp_path / 'file').write_text('1')
    return tmp_path / 'file'


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == 'held\n'
    yield process
    process.kill()
    process.communicate()


def test_another_process_is_named_and_its_end_ends_it(
    path: Path, holder: subprocess.Popen[str]
) -> None:
    before = path.read_text()
    with pytest.raises(OwnedError, match=rf'it is already set by (process {holder.pid}|another)'):
        DeviceLock([path], 'it').take()
    holder.kill()
    holder.communicate()
    with DeviceLock([path], 'it'), pytest.raises(OwnedError):
        DeviceLock([path], 'it').take()
    with DeviceLock([path], 'it'):
        assert path.read_text() == before


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can act as two users')
@pytest.mark.parametrize('mode', [fcntl.LOCK_EX, fcntl.LOCK_SH])
def test_who_may_only_read_it_keeps_nobody_from_it(path: Path, mode: int) -> None:
    reader = os.open(path, os.O_RDONLY)
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            fcntl.flock(reader, mode | fcntl.LOCK_NB)
            os.write(tell, b'!')
            signal.pause()
        finally:
            os.write(tell, b'?')
            os._exit(1)
    try:
        os.close(reader)
        assert os.read(told, 1) == b'!'
        with path.open('a') as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with DeviceLock([path], 'it'):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(told)
        os.close(tell)


def test_a_file_that_is_not_there_is_passed_over(tmp_path: Path) -> None:
    with DeviceLock([tmp_path / 'gone'], 'it'):
        assert not (tmp_path / 'gone').exists()


def test_two_of_different_folders_cannot_set_one_device(
    tree: hardware_trees.Tree, tmp_path: Path
) -> None:
    first = ClockGuard(DevfreqGpuClock(tree.files), tmp_path / 'a' / 'found')
    second = ClockGuard(DevfreqGpuClock(tree.files), tmp_path / 'b' / 'found')
    first.restore_leftover()
    second.restore_leftover()  # nobody sets it yet
    first.set_frequency(510e6)
    for attempt in (second.restore_leftover, lambda: second.set_frequency(306e6)):
        with pytest.raises(OwnedError, match=r'17000000\.gpu is already set by'):
            attempt()
    assert first.clock.limits_hz() == (510e6, 510e6)
    assert not (tmp_path / 'b' / 'found').exists()
    first.release()
    assert second.set_frequency(306e6) == 306e6
    with pytest.raises(OwnedError):
        first.set_frequency(510e6)
    second.close()
    first.close()


def test_one_policy_alone_and_all_of_them_are_one_device(
    tree: hardware_trees.Tree, tmp_path: Path
) -> None:
    every = ClockGuard(CpufreqGpuClock(tree.files), tmp_path / 'every')
    one = ClockGuard(CpufreqGpuClock(tree.files, 'policy8'), tmp_path / 'one')
    with every, one:
        one.set_frequency(729.6e6)
        with pytest.raises(OwnedError):
            every.set_frequency(729.6e6)
        one.release()
        every.set_frequency(729.6e6)
        with pytest.raises(OwnedError):
            one.set_frequency(729.6e6)


def test_a_set_that_is_refused_lets_it_go(tree: hardware_trees.Tree, tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    refused = ClockGuard(DevfreqGpuClock(tree.files), tmp_path / 'file' / 'found')
    with pytest.raises(HardwareError):
        refused.set_frequency(510e6)
    with ClockGuard(DevfreqGpuClock(tree.files), tmp_path / 'found') as other:
        assert other.set_frequency(510e6) == 510e6


def test_it_is_no_write(tmp_path: Path) -> None:
    machine = write_machine(tmp_path / 'machine')
    with TreeWatch(machine) as watch, DeviceLock(list(machine.limits), 'it'):
        pass
    assert machine.is_as_found()
    assert watch.writes == 0
    assert watch.take_violations() == []
