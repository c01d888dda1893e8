"""The clock that the helper sets is a clock like any other."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import hardware_trees
import pytest
from clockd_helpers import HelperThread
from fake_nvml import FakeNvml
from hardware_kernel_files import KernelFiles
from test_hardware_gpu_clock import TestConformance  # noqa: F401 run here with the clock below

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clockd.clockd_gpu_clock import ClockdGpuClock
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.clocks.nvml_gpu_clock import NvmlGpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.nvml_session import NvmlSession


@pytest.fixture
def files(tmp_path: Path) -> KernelFiles:
    return KernelFiles(hardware_trees.agx_orin(tmp_path / 'machine').root)


@pytest.fixture
def helper(tmp_path: Path, files: KernelFiles) -> Iterator[HelperThread]:
    with HelperThread(tmp_path, [DevfreqGpuClock(files)]) as helper:
        yield helper


@pytest.fixture
def clock(helper: HelperThread, files: KernelFiles) -> ClockdGpuClock:
    return ClockdGpuClock(DevfreqGpuClock(files), helper.socket_path)


def test_it_keeps_no_file_and_writes_nothing_itself(
    clock: ClockdGpuClock, files: KernelFiles, tmp_path: Path
) -> None:
    with ClockGuard(clock, tmp_path / 'mine' / 'found') as guard:
        guard.set_frequency(5e8)
        assert clock.limits_hz() == (510e6, 510e6)
        assert guard.engaged
    assert not (tmp_path / 'mine').exists()
    assert clock.limits_hz() == (306e6, 1300.5e6)


def test_repeated_sets_are_not_even_sent(clock: ClockdGpuClock, tmp_path: Path) -> None:
    with ClockGuard(clock, tmp_path / 'found') as guard:
        for _ in range(5):
            guard.set_frequency(5e8)
        assert guard.writes == 1


def test_a_found_state_that_is_not_the_helpers_is_refused(
    clock: ClockdGpuClock, files: KernelFiles
) -> None:
    other = {**clock.state(), 'max_freq': '612000000'}
    clock.set_frequency(5e8)
    with pytest.raises(HardwareError, match='sets no other'):
        clock.restore(other)
    assert clock.limits_hz() == (306e6, 1300.5e6)


def test_a_kernel_that_refuses_is_told_in_its_words(
    clock: ClockdGpuClock, files: KernelFiles
) -> None:
    files.refused['max_freq'] = 22
    with pytest.raises(HardwareError, match='the kernel refuses it'):
        clock.set_frequency(5e8)
    files.refused.clear()
    assert clock.set_frequency(5e8) == 510e6


def test_a_second_client_is_told_who_holds_the_device(
    clock: ClockdGpuClock, helper: HelperThread, files: KernelFiles
) -> None:
    clock.set_frequency(5e8)
    second = ClockdGpuClock(DevfreqGpuClock(files), helper.socket_path)
    assert second.access() == ''
    with pytest.raises(HardwareError, match=f'process {os.getpid()} of user {os.getuid()}'):
        second.set_frequency(1e9)
    second.release()
    assert clock.limits_hz() == (510e6, 510e6)
    clock.release()
    assert second.set_frequency(1e9) == 1020e6
    second.release()


def test_without_a_helper_it_says_what_to_install(files: KernelFiles, tmp_path: Path) -> None:
    clock = ClockdGpuClock(DevfreqGpuClock(files), tmp_path / 'socket')
    assert 'clocks install-helper' in clock.access()
    with pytest.raises(HardwareError, match='install-helper'):
        clock.set_frequency(5e8)
    clock.keep_alive()
    clock.release()
    assert files.writes == []


def test_a_dead_helpers_socket_says_what_to_start(files: KernelFiles, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / 'socket'))
    clock = ClockdGpuClock(DevfreqGpuClock(files), tmp_path / 'socket')
    assert 'does not run: start it with sudo systemctl' in clock.access()


def test_a_device_the_helper_did_not_find_is_said(helper: HelperThread, tmp_path: Path) -> None:
    other = DevfreqGpuClock(hardware_trees.tx2(tmp_path / 'other').files)
    clock = ClockdGpuClock(other, helper.socket_path)
    assert 'did not find /sys/class/devfreq/17000000.gp10b' in clock.access()
    with pytest.raises(HardwareError, match='no such device was found'):
        clock.set_frequency(1e9)


def test_an_ended_helper_is_told_once_and_found_again(
    clock: ClockdGpuClock, helper: HelperThread, files: KernelFiles, tmp_path: Path
) -> None:
    with ClockGuard(clock, tmp_path / 'found') as guard:
        guard.set_frequency(5e8)
        helper.stop()
        assert clock.limits_hz() == (306e6, 1300.5e6)
        with pytest.raises(HardwareError, match='ended the connection'):
            guard.keep_alive()
        with HelperThread(tmp_path, [DevfreqGpuClock(files)]):
            guard.keep_alive()
            assert guard.set_frequency(5e8) == 510e6
            guard.keep_alive()
        assert guard.release() is True  # the helper that ended had restored it


def test_an_answer_that_is_none_ends_the_connection(files: KernelFiles, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as impostor:
        impostor.bind(str(tmp_path / 'socket'))
        impostor.listen(1)
        clock = ClockdGpuClock(DevfreqGpuClock(files), tmp_path / 'socket')
        for answer in (b'[' * 50000 + b'\n', b'{}\n', b'{"ok": true}\n', b'\xff\n', b''):

            def reply(answer: bytes = answer) -> None:
                link, _ = impostor.accept()
                link.recv(4096)
                link.sendall(answer)
                link.close()

            thread = threading.Thread(target=reply)
            thread.start()
            assert clock.access() != ''
            thread.join()


def test_a_card_is_locked_and_reset_by_the_helper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = FakeNvml(tmp_path / 'nvml')
    card.install(monkeypatch)
    here = DeviceFiles(tmp_path)
    with HelperThread(tmp_path, [NvmlGpuClock(NvmlSession(), here)]) as helper:
        clock = ClockdGpuClock(NvmlGpuClock(NvmlSession(), here), helper.socket_path)
        with ClockGuard(clock, tmp_path / 'found') as guard:
            level_hz = guard.set_frequency(clock.available_frequencies_hz[0])
            guard.set_frequency(level_hz)
            assert guard.writes == 1
            assert clock.frequency_hz() == level_hz
        assert clock.frequency_hz() != level_hz
