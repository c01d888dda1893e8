"""The program, as systemd and clients meet it."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import hardware_trees
import pytest
from clockd_helpers import (
    PROGRAM,
    WAIT_S,
    HelperProcess,
    HelperThread,
    connection,
    digest,
    line_of,
    rest_of,
)
from hardware_kernel_files import KernelFiles

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clockd.clockd_gpu_clock import ClockdGpuClock
from visionscaling_ros.hardware.clockd.peer import AllowedPeers
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock

SET = {'op': 'set', 'backend': 'jetson', 'frequency_hz': 510e6}


@pytest.fixture
def tree(tmp_path: Path) -> hardware_trees.Tree:
    return hardware_trees.agx_orin(tmp_path / 'machine')


@pytest.fixture
def helper(tmp_path: Path, tree: hardware_trees.Tree) -> Iterator[HelperProcess]:
    helper = HelperProcess(tmp_path, tree)
    yield helper
    helper.close()


def kept(helper: HelperProcess) -> list[Path]:
    return sorted(helper.state_folder.glob('*.found'))


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_restores_and_ends_it(
    helper: HelperProcess, tree: hardware_trees.Tree, number: int
) -> None:
    before, clock = digest(tree), helper.clock()
    clock.set_frequency(5e8)
    (record,) = kept(helper)
    assert json.loads(record.read_text())['state']['max_freq'] == '1300500000'
    assert digest(tree) != before
    assert helper.signal(number) == 0
    assert digest(tree) == before
    assert kept(helper) == []


def test_after_kill_9_the_next_start_restores_before_it_serves(
    helper: HelperProcess, tree: hardware_trees.Tree
) -> None:
    before, clock = digest(tree), helper.clock()
    clock.set_frequency(5e8)
    helper.signal(signal.SIGKILL)
    assert digest(tree) != before
    helper.restart()
    assert digest(tree) == before
    assert kept(helper) == []
    assert clock.set_frequency(5e8) == 510e6


def test_restore_undoes_what_a_killed_helper_left_and_ends(
    helper: HelperProcess, tree: hardware_trees.Tree
) -> None:
    before = digest(tree)
    clock = helper.clock()
    clock.set_frequency(5e8)
    helper.signal(signal.SIGKILL)
    command = [sys.executable, str(PROGRAM), '--root', str(tree.root), '--restore']
    command += ['--state-folder', str(helper.state_folder)]
    subprocess.run(command, check=True, timeout=WAIT_S, cwd='/')
    assert digest(tree) == before
    assert kept(helper) == []


def test_restore_that_fails_says_so_and_keeps_the_record(
    helper: HelperProcess, tree: hardware_trees.Tree
) -> None:
    clock = helper.clock()
    clock.set_frequency(5e8)
    helper.signal(signal.SIGKILL)
    tree.write('/sys/class/devfreq/17000000.gpu/available_governors', '')
    tree.remove('/sys/class/devfreq/17000000.gpu/max_freq')
    command = [sys.executable, str(PROGRAM), '--root', str(tree.root), '--restore']
    command += ['--state-folder', str(helper.state_folder)]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=WAIT_S, cwd='/'
    )
    assert ended.returncode == 1
    assert 'max_freq' in ended.stderr
    (record,) = kept(helper)
    assert f'{record} is kept' in ended.stderr


def test_after_a_reboot_the_record_is_dropped_and_said(
    helper: HelperProcess, tree: hardware_trees.Tree
) -> None:
    clock = helper.clock()
    clock.set_frequency(5e8)
    helper.signal(signal.SIGKILL)
    (record,) = kept(helper)
    content = json.loads(record.read_text())
    record.write_text(json.dumps({**content, 'boot_id': 'another'}))
    as_rebooted = digest(tree)
    helper.restart()
    assert digest(tree) == as_rebooted
    assert kept(helper) == []
    helper.wait_for_line('which reset it')


def test_a_second_helper_for_the_same_devices_ends_in_words(
    helper: HelperProcess, tree: hardware_trees.Tree
) -> None:
    command = [sys.executable, str(PROGRAM), '--root', str(tree.root)]
    command += ['--socket', str(helper.socket_path), '--state-folder', str(helper.state_folder)]
    second = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=WAIT_S, cwd='/'
    )
    assert second.returncode == 1
    assert f'already set by process {helper.process.pid}' in second.stderr
    assert helper.clock().access() == ''


def test_list_names_every_file_that_may_be_written(tree: hardware_trees.Tree) -> None:
    command = [sys.executable, str(PROGRAM), '--root', str(tree.root), '--list']
    listed = subprocess.run(command, check=True, capture_output=True, text=True, cwd='/').stdout
    gpu = '/sys/class/devfreq/17000000.gpu'
    assert listed.split() == [
        'jetson',
        gpu,
        *(f'{gpu}/{name}' for name in ('min_freq', 'max_freq', 'governor')),
    ]


def test_it_says_to_systemd_that_it_is_ready_and_alive(
    tmp_path: Path, tree: hardware_trees.Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / 'notify'))
        manager.settimeout(WAIT_S)
        monkeypatch.setenv('NOTIFY_SOCKET', str(tmp_path / 'notify'))
        monkeypatch.setenv('WATCHDOG_USEC', '20000')
        helper = HelperProcess(tmp_path, tree)
        try:
            assert manager.recv(4096).startswith(b'READY=1\nSTATUS=serves /sys/class/devfreq')
            assert manager.recv(4096) == b'WATCHDOG=1'
            assert manager.recv(4096) == b'WATCHDOG=1'
        finally:
            helper.close()


def test_a_client_that_is_killed_loses_the_device(
    helper: HelperProcess, tree: hardware_trees.Tree
) -> None:
    before = digest(tree)
    code = (
        'import sys, json, socket\n'
        'link = socket.socket(socket.AF_UNIX); link.connect(sys.argv[1])\n'
        'link.sendall(sys.argv[2].encode()); print(link.recv(999)); sys.stdout.flush()\n'
        'sys.stdin.read()\n'
    )
    line = json.dumps({**SET, 'device': '/sys/class/devfreq/17000000.gpu'}) + '\n'
    client = subprocess.Popen(
        [sys.executable, '-c', code, str(helper.socket_path), line],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert client.stdout is not None
    assert b'"ok":true' in client.stdout.readline()
    assert digest(tree) != before
    client.kill()
    client.communicate()
    with connection(helper.socket_path) as link:  # answered after the end of the other was seen
        link.sendall(line.encode())
        assert b'"ok":true' in line_of(link)
        link.sendall(b'x\n')
        rest_of(link)
    assert helper.signal(signal.SIGTERM) == 0
    assert digest(tree) == before


def test_a_client_that_falls_silent_loses_the_device(
    tmp_path: Path, tree: hardware_trees.Tree
) -> None:
    before = digest(tree)
    with (
        HelperThread(tmp_path, [DevfreqGpuClock(tree.files)], timeout_s=1.5) as helper,
        connection(helper.socket_path) as link,
    ):
        line = json.dumps({**SET, 'device': '/sys/class/devfreq/17000000.gpu'}) + '\n'
        link.sendall(line.encode())
        assert b'"ok":true' in line_of(link)
        assert rest_of(link) == b''  # the helper ended the connection
        assert digest(tree) == before
    assert any('no request for 1.5 s' in words for words in helper.said)


def test_what_cannot_be_restored_is_tried_again(tmp_path: Path, tree: hardware_trees.Tree) -> None:
    files = KernelFiles(tree.root)
    with HelperThread(tmp_path, [DevfreqGpuClock(files)]) as helper:
        clock = ClockdGpuClock(DevfreqGpuClock(files), helper.socket_path)
        clock.set_frequency(5e8)
        files.refused.update(dict.fromkeys(('min_freq', 'max_freq'), errno.EBUSY))
        with pytest.raises(HardwareError, match='busy'):
            clock.release()
        assert helper.devices[0].guard.engaged
        files.refused.clear()
        helper.wait_until_said('is restored: tried again')
        assert DevfreqGpuClock(files).limits_hz() == (306e6, 1300.5e6)
        assert not helper.devices[0].guard.engaged


class Broken(DevfreqGpuClock):
    broken = False

    @property
    def available_frequencies_hz(self) -> tuple[float, ...]:
        if self.broken:
            raise KeyError('a mistake of ours')
        return super().available_frequencies_hz


def test_a_mistake_of_its_own_ends_it_and_restores(
    tmp_path: Path, tree: hardware_trees.Tree
) -> None:
    before, clock = digest(tree), Broken(tree.files)
    with HelperThread(tmp_path, [clock]) as helper:
        mine = ClockdGpuClock(DevfreqGpuClock(tree.files), helper.socket_path)
        mine.set_frequency(5e8)
        assert digest(tree) != before
        clock.broken = True
        with pytest.raises(HardwareError, match=r'ended the connection|does not run'):
            mine.set_frequency(1e9)
        helper.stop()
        assert isinstance(helper.failure, KeyError)
        assert digest(tree) == before


def test_the_socket_is_for_root_alone_or_a_group_or_checked_by_credentials(tmp_path: Path) -> None:
    for number, (allowed, mode) in enumerate(
        (
            (AllowedPeers(), 0o660),
            (AllowedPeers(gids=frozenset({65534})), 0o660),
            (AllowedPeers(uids=frozenset({65534})), 0o666),
        )
    ):
        if allowed.gids and os.geteuid() != 0:
            continue
        with HelperThread(tmp_path / str(number), [], allowed=allowed) as helper:
            status = helper.socket_path.stat()
            assert stat.S_IMODE(status.st_mode) == mode
            if allowed.gids:
                assert status.st_gid == 65534


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--timeout-s', '0'], '0.1 to 60 s'),
        (['--timeout-s', 'nan'], '0.1 to 60 s'),
        (['--allow-user', 'no such user'], 'a user of this machine'),
        (['--allow-group', 'no such group'], 'a group of this machine'),
    ],
)
def test_a_wrong_option_ends_it_in_words(
    tmp_path: Path, tree: hardware_trees.Tree, options: list[str], words: str
) -> None:
    command = [sys.executable, str(PROGRAM), '--root', str(tree.root), *options]
    command += ['--socket', str(tmp_path / 'run' / 's'), '--state-folder', str(tmp_path / 'state')]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=WAIT_S, cwd='/'
    )
    assert ended.returncode == 1
    assert words in ended.stderr


def test_folders_that_others_may_write_to_are_not_trusted(
    tmp_path: Path, tree: hardware_trees.Tree
) -> None:
    (tmp_path / 'open').mkdir()
    (tmp_path / 'open').chmod(0o777)
    command = [sys.executable, str(PROGRAM), '--root', str(tree.root)]
    command += ['--socket', str(tmp_path / 'run' / 's'), '--state-folder', str(tmp_path / 'open')]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=WAIT_S, cwd='/'
    )
    assert ended.returncode == 1
    assert 'only root, or who runs the helper, may write to' in ended.stderr
