"""``visionscaling clocks``: what killed processes left is undone, and nothing else is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hardware_trees
import pytest

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.cpufreq_gpu_clock import CpufreqGpuClock
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import EmulatedGpuClock
from visionscaling_ros.hardware.clocks.found_record import boot_id, record_files
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.leftovers import restore_all, restore_file
from visionscaling_ros.hardware.state_file import state_file_of
from visionscaling_ros.hardware.state_folder import state_folder

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import os, sys
from pathlib import Path
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.cpufreq_gpu_clock import CpufreqGpuClock
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import EmulatedGpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
kind, path, state_file = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
clock = EmulatedGpuClock(path) if kind == 'emulated' else (
    DevfreqGpuClock if kind == 'jetson' else CpufreqGpuClock)(DeviceFiles(path))
ClockGuard(clock, state_file).set_frequency(clock.available_frequencies_hz[0])
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def tree(tmp_path: Path) -> hardware_trees.Tree:
    return hardware_trees.agx_orin(tmp_path / 'machine')


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / 'run').mkdir(mode=0o700)
    monkeypatch.setenv('VISIONSCALING_STATE_HOME', str(tmp_path / 'run'))
    return state_folder()


def left_by_a_killed_process(clock: GpuClock, place: Path, state_file: Path) -> None:
    command = [sys.executable, '-c', KILLED, clock.name, str(place), str(state_file)]
    killed = subprocess.run(command, check=False, cwd=ROOT)
    assert killed.returncode == -9
    assert state_file.exists()


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = 'import sys; from visionscaling_ros.cli import clocks as c; import argparse;'
    code += 'p = argparse.ArgumentParser(); c.add_arguments(p); sys.exit(c.run(p.parse_args()))'
    return subprocess.run(
        [sys.executable, '-c', code, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd='/',
        env={**os.environ, 'PYTHONPATH': f'{ROOT}:{os.environ.get("PYTHONPATH", "")}'},
    )


@pytest.mark.parametrize('make', [DevfreqGpuClock, CpufreqGpuClock])
def test_a_killed_process_is_undone_by_the_command(
    tree: hardware_trees.Tree, folder: Path, make: Callable[..., GpuClock]
) -> None:
    before = tree.contents()
    clock = make(tree.files)
    left_by_a_killed_process(clock, tree.root, state_file_of(clock, tree.root))
    assert tree.contents() != before
    done = command('restore', '--root', str(tree.root))
    assert done.returncode == 0, done.stderr
    assert f'{clock.device} is restored' in done.stdout
    assert tree.contents() == before
    assert record_files(folder) == []
    again = command('restore', '--root', str(tree.root))
    assert again.returncode == 0
    assert 'nothing is left set' in again.stdout


def test_an_emulated_clock_is_undone_too(tree: hardware_trees.Tree, folder: Path) -> None:
    clock = EmulatedGpuClock(folder / 'emulated_gpu-0-robot')
    left_by_a_killed_process(clock, Path(clock.device), state_file_of(clock))
    assert clock.frequency_hz() == 306e6
    (path,) = record_files(folder)
    assert restore_file(path, tree.files) == [
        f'{clock.device} is restored to the state that it was found in'
    ]
    assert clock.frequency_hz() == 1300.5e6


def test_a_file_named_by_hand_is_obeyed_when_it_is_named(
    tree: hardware_trees.Tree, folder: Path, tmp_path: Path
) -> None:
    before = tree.contents()
    clock = DevfreqGpuClock(tree.files)
    left_by_a_killed_process(clock, tree.root, folder / 'mine.found')
    with pytest.raises(HardwareError, match='not on this machine'):
        restore_file(folder / 'mine.found', tree.files)
    done = command('restore', '--root', str(tree.root), '--state-file', str(folder / 'mine.found'))
    assert done.returncode == 0, done.stderr
    assert tree.contents() == before


def test_another_machines_file_is_left_alone(
    tree: hardware_trees.Tree, folder: Path, tmp_path: Path
) -> None:
    other = hardware_trees.agx_orin(tmp_path / 'other')
    before = other.contents()
    clock = DevfreqGpuClock(tree.files)
    left_by_a_killed_process(clock, tree.root, state_file_of(clock, tree.root))
    done = command('restore', '--root', str(other.root))
    assert done.returncode == 1
    assert 'not on this machine' in done.stderr
    assert other.contents() == before
    assert len(record_files(folder)) == 1


def test_a_clock_whose_owner_lives_is_left_alone(tree: hardware_trees.Tree, folder: Path) -> None:
    clock = DevfreqGpuClock(tree.files)
    with ClockGuard(clock, state_file_of(clock, tree.root)) as guard:
        guard.set_frequency(5e8)
        done = command('restore', '--root', str(tree.root))
        assert done.returncode == 1
        assert f'already set by process {os.getpid()}' in done.stderr
        assert clock.limits_hz() == (510e6, 510e6)


def test_a_damaged_file_leaves_its_device_to_the_governor(
    tree: hardware_trees.Tree, folder: Path
) -> None:
    before = tree.contents()
    clock = DevfreqGpuClock(tree.files)
    path = state_file_of(clock, tree.root)
    left_by_a_killed_process(clock, tree.root, path)
    path.write_text('{"backend"')
    (said,) = restore_file(path, tree.files)
    assert 'was damaged' in said
    assert tree.contents() == before


def test_after_a_reboot_the_file_is_dropped_and_said(
    tree: hardware_trees.Tree, folder: Path
) -> None:
    clock = DevfreqGpuClock(tree.files)
    path = state_file_of(clock, tree.root)
    left_by_a_killed_process(clock, tree.root, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), 'boot_id': 'another'}))
    (said,) = restore_file(path, tree.files)
    assert 'is dropped' in said
    assert not path.exists()


@pytest.mark.parametrize('mode', [0o666, 0o660])
def test_a_file_that_others_can_write_is_not_obeyed(
    tree: hardware_trees.Tree, folder: Path, mode: int
) -> None:
    clock = DevfreqGpuClock(tree.files)
    path = state_file_of(clock, tree.root)
    left_by_a_killed_process(clock, tree.root, path)
    after = tree.contents()
    path.chmod(mode)
    with pytest.raises(HardwareError, match='somebody else'):
        restore_file(path, tree.files)
    assert tree.contents() == after


def test_a_file_that_is_not_there_is_said(tree: hardware_trees.Tree, tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match='nothing was left set'):
        restore_file(tmp_path / 'x.found', tree.files)


def test_the_udev_rules_are_printed() -> None:
    printed = command('udev-rules')
    assert printed.stdout == (ROOT / 'config/system/60-visionscaling-gpu-clock.rules').read_text()


def test_the_installation_is_shown_without_being_done(tree: hardware_trees.Tree) -> None:
    shown = command('install-helper', '--print', '--root', str(tree.root))
    if shown.returncode != 0:
        assert 'only root can change' in shown.stderr
        pytest.skip('no Python here that only root can change')
    assert 'ReadWritePaths=-/sys/class/devfreq/17000000.gpu/max_freq' in shown.stdout
    assert 'systemctl enable --now visionscaling-clockd.service' in shown.stdout


def test_a_damaged_file_of_an_emulated_clock_leaves_it_to_its_governor(
    tree: hardware_trees.Tree, folder: Path
) -> None:
    clock = EmulatedGpuClock(folder / 'emulated_gpu-0-robot')
    left_by_a_killed_process(clock, Path(clock.device), state_file_of(clock))
    state_file_of(clock).write_text('')
    restore_file(state_file_of(clock), tree.files)
    assert clock.state() == {'register': ''}


def test_a_damaged_file_of_no_device_makes_none(tree: hardware_trees.Tree, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / 'jetson-gone.found').write_text('')
    with pytest.raises(HardwareError, match='a device it no longer names'):
        restore_file(folder / 'jetson-gone.found', tree.files)
    assert [path.name for path in folder.iterdir()] == ['jetson-gone.found']


def test_a_tree_is_the_same_machine_by_each_of_its_names(
    tree: hardware_trees.Tree, folder: Path, tmp_path: Path
) -> None:
    before = tree.contents()
    (tmp_path / 'link').symlink_to(tree.root)
    clock = DevfreqGpuClock(DeviceFiles(tmp_path / 'link'))
    path = state_file_of(clock, tmp_path / 'link')
    assert path == state_file_of(clock, tree.root)
    left_by_a_killed_process(clock, tmp_path / 'link', path)
    done = command('restore', '--root', str(tmp_path / 'link'))
    assert done.returncode == 0, done.stderr
    assert tree.contents() == before


def test_a_start_undoes_all_that_was_left_on_its_machine_and_nothing_else(
    tree: hardware_trees.Tree, folder: Path, tmp_path: Path
) -> None:
    other = hardware_trees.agx_orin(tmp_path / 'other')
    emulated = EmulatedGpuClock(folder / 'emulated_gpu-0-robot')
    gpu, cpu = DevfreqGpuClock(tree.files), CpufreqGpuClock(tree.files)
    before = tree.contents()
    for clock, root in (
        (gpu, tree.root),
        (cpu, tree.root),
        (DevfreqGpuClock(other.files), other.root),
    ):
        left_by_a_killed_process(clock, root, state_file_of(clock, root))
    left_by_a_killed_process(emulated, Path(emulated.device), state_file_of(emulated))
    others = other.contents()
    said = list(restore_all(tree.files, but=state_file_of(cpu, tree.root)))
    assert sorted(words.partition(' is ')[0] for words in said) == sorted(
        (gpu.device, emulated.device)
    )
    assert gpu.state()['min_freq'] == '306000000'
    assert emulated.state() == {'register': ''}
    assert other.contents() == others
    assert tree.contents() != before
    assert len(list(restore_all(tree.files))) == 1
    assert tree.contents() == before
    assert list(restore_all(tree.files)) == []


def test_a_start_says_nothing_of_what_a_living_process_sets(
    tree: hardware_trees.Tree, folder: Path
) -> None:
    clock = DevfreqGpuClock(tree.files)
    with ClockGuard(clock, state_file_of(clock, tree.root)) as guard:
        guard.set_frequency(510e6)
        assert list(restore_all(tree.files)) == []
        assert clock.limits_hz() == (510e6, 510e6)


@pytest.mark.parametrize(('boot', 'kept'), [('another', False), (boot_id(), True)])
def test_a_device_that_is_gone_is_forgotten_after_a_reboot_only(
    tree: hardware_trees.Tree, folder: Path, boot: str, kept: bool
) -> None:
    clock = DevfreqGpuClock(tree.files)
    path = state_file_of(clock, tree.root)
    left_by_a_killed_process(clock, tree.root, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), 'boot_id': boot}))
    tree.remove(clock.device)
    (said,) = restore_all(tree.files)
    assert ('it is kept' in said) is kept
    assert path.exists() is kept


def test_a_policy_alone_is_undone(tree: hardware_trees.Tree, folder: Path) -> None:
    before = tree.contents()
    clock = CpufreqGpuClock(tree.files, 'policy4')
    ClockGuard(clock, state_file_of(clock, tree.root)).set_frequency(729.6e6)
    assert tree.contents() != before
    (said,) = restore_all(tree.files)
    assert 'policy4 is restored' in said
    assert tree.contents() == before
