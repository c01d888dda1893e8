"""What is kept while a clock is set lies where its user's next process looks, and nobody else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.atomic_file import remove_durably, write_atomically
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import EmulatedGpuClock
from visionscaling_ros.hardware.clocks.found_record import record_files
from visionscaling_ros.hardware.clocks.owner_lock import OwnerLock
from visionscaling_ros.hardware.state_folder import (
    PLACE,
    check_folder_is_ours,
    state_folder,
    state_folders,
)

ROOT = Path(__file__).resolve().parents[2]
IMPORT = 'from visionscaling_ros.hardware.state_folder import state_folder'
as_root = pytest.mark.skipif(os.geteuid() != 0, reason='only root can act as two users')


@pytest.mark.parametrize('session', [{}, {'XDG_RUNTIME_DIR': '/run/user/1'}, {'HOME': '/nowhere'}])
def test_it_is_the_same_in_every_session_of_a_user(
    monkeypatch: pytest.MonkeyPatch, session: dict[str, str]
) -> None:
    for name in (PLACE, 'XDG_RUNTIME_DIR', 'XDG_STATE_HOME', 'TMPDIR', 'HOME'):
        monkeypatch.delenv(name, raising=False)
    for name, value in session.items():
        monkeypatch.setenv(name, value)
    uid = os.geteuid()
    of_user = Path(f'/var/tmp/visionscaling_ros-{uid}')
    assert state_folder() == (of_user if uid else Path('/run/visionscaling_ros'))


@as_root
def test_a_user_has_one_that_is_not_roots() -> None:
    environment = {name: value for name, value in os.environ.items() if name != PLACE}
    said = subprocess.run(
        [sys.executable, '-c', f'{IMPORT}; import os; os.setuid(65534); print(state_folder())'],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    ).stdout
    assert said == '/var/tmp/visionscaling_ros-65534\n'


def test_it_can_be_put_elsewhere_and_all_of_them_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(PLACE, str(tmp_path))
    assert state_folder() == tmp_path / f'visionscaling_ros-{os.geteuid()}'
    for name in ('visionscaling_ros-7', 'visionscaling_ros-8', 'visionscaling_ros-x', 'other'):
        (tmp_path / name).mkdir()
    assert [folder.name for folder in state_folders()] == [
        'visionscaling_ros-7',
        'visionscaling_ros-8',
    ]


@pytest.mark.parametrize(('mode', 'good'), [(0o755, True), (0o1777, True), (0o777, False)])
def test_a_folder_that_others_can_change_is_refused_by_name(
    tmp_path: Path, mode: int, good: bool
) -> None:
    folder = tmp_path / 'folder'
    folder.mkdir()
    folder.chmod(mode)
    if good:
        check_folder_is_ours(folder)
        return
    with pytest.raises(HardwareError, match=str(folder)):
        check_folder_is_ours(folder)


@as_root
def test_a_folder_that_another_user_made_first_is_refused_and_not_written(tmp_path: Path) -> None:
    secret = tmp_path / 'secret'
    secret.write_text('kept')
    folder = tmp_path / 'visionscaling_ros-0'
    folder.mkdir(mode=0o755)
    (folder / 'x.found.lock').symlink_to(secret)
    os.chown(folder, 65534, 65534)
    guard = ClockGuard(EmulatedGpuClock(tmp_path / 'register'), folder / 'x.found')
    with pytest.raises(HardwareError, match=r'visionscaling_ros-0 belongs to user 65534'):
        guard.set_frequency(306e6)
    assert secret.read_text() == 'kept'
    assert not (tmp_path / 'register').exists()
    assert [path.name for path in folder.iterdir()] == ['x.found.lock']


@as_root
def test_a_link_that_another_user_made_is_no_folder_of_ours(tmp_path: Path) -> None:
    (tmp_path / 'mine').mkdir(mode=0o755)
    link = tmp_path / 'link'
    link.symlink_to(tmp_path / 'mine')
    check_folder_is_ours(link)
    os.chown(link, 65534, 65534, follow_symlinks=False)
    with pytest.raises(HardwareError, match='belongs to user 65534'):
        check_folder_is_ours(link)


@pytest.mark.parametrize('plant', [os.symlink, os.link])
def test_a_planted_lock_is_not_followed(tmp_path: Path, plant: object) -> None:
    secret = tmp_path / 'secret'
    secret.write_text('kept')
    assert callable(plant)
    plant(secret, tmp_path / 'lock')
    with pytest.raises(HardwareError, match='lock'):
        OwnerLock(tmp_path / 'lock', 'it').take()
    assert secret.read_text() == 'kept'


def test_a_planted_new_file_is_replaced_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / 'secret'
    secret.write_text('kept')
    (tmp_path / f'file.{os.getpid()}.new').symlink_to(secret)
    write_atomically(tmp_path / 'file', 'mine')
    assert (tmp_path / 'file').read_text() == 'mine'
    assert secret.read_text() == 'kept'


def test_a_record_is_no_link_and_nobody_elses(tmp_path: Path) -> None:
    clock = EmulatedGpuClock(tmp_path / 'register')
    elsewhere = tmp_path / 'elsewhere'
    elsewhere.write_text('{}')
    (tmp_path / 'found').symlink_to(elsewhere)
    with pytest.raises(HardwareError, match='found cannot be read'):
        ClockGuard(clock, tmp_path / 'found').restore_leftover()
    (tmp_path / 'found').unlink()
    (tmp_path / 'found').write_text('{}')
    (tmp_path / 'found').chmod(0o666)
    with pytest.raises(HardwareError, match='somebody else'):
        ClockGuard(clock, tmp_path / 'found').set_frequency(306e6)
    assert not (tmp_path / 'register').exists()


def test_what_went_with_its_folder_is_removed(tmp_path: Path) -> None:
    remove_durably(tmp_path / 'gone' / 'file')
    clock = EmulatedGpuClock(tmp_path / 'register')
    guard = ClockGuard(clock, tmp_path / 'states' / 'found')
    guard.set_frequency(306e6)
    for path in (tmp_path / 'states').iterdir():
        path.unlink()
    (tmp_path / 'states').rmdir()
    guard.set_frequency(306e6)  # as each decision does
    assert len(record_files(tmp_path / 'states')) == 0
    assert (tmp_path / 'states' / 'found').exists()
    for path in (tmp_path / 'states').iterdir():
        path.unlink()
    (tmp_path / 'states').rmdir()
    guard.close()
    assert clock.state() == {'register': ''}
