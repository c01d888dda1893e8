"""Undoes what killed processes of this user left, without running them again."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clockd.found_devices import find_devices
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.cpufreq_gpu_clock import CpufreqGpuClock
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import EmulatedGpuClock
from visionscaling_ros.hardware.clocks.found_record import FoundRecord, read_record
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.state_file import state_file_of


def restore_file(path: Path, files: DeviceFiles, *, any_name: bool = False) -> list[str]:
    """Undo what the process that kept this file left set; what was done, in words.

    Raises HardwareError where the device is not there, its owner lives, it cannot be restored, or
    somebody else may have written the file.

    :param any_name: go by what the file says, not by its name; for a file that was named by hand.
    """
    _check_owner(path)
    try:
        record = read_record(path)
    except FileNotFoundError:
        raise HardwareError(f'{path} is not there: nothing was left set') from None
    clock = _clock_of(path, record, files, any_name=any_name)
    said: list[str] = []
    with ClockGuard(clock, path, said.append) as guard:
        if guard.restore_leftover() and not said:
            said.append(f'{clock.device} is restored to the state that it was found in')
    return said or [f'{clock.device} was restored by its owner meanwhile']


def _clock_of(
    path: Path, record: FoundRecord | None, files: DeviceFiles, *, any_name: bool
) -> GpuClock:
    clocks = _clocks(path, record, files)
    named = [clock for clock in clocks if state_file_of(clock, files.root).name == path.name]
    meant = [
        clock
        for clock in (clocks if any_name and record else named)
        if record is None or (clock.name, clock.device) == (record.backend, record.device)
    ]
    if not meant:
        what = f'{record.device} ({record.backend})' if record else 'a device it no longer names'
        raise HardwareError(
            f'{path} holds the state of {what}, which is not on this machine now; it is kept'
        )
    return meant[0]


def _clocks(path: Path, record: FoundRecord | None, files: DeviceFiles) -> Sequence[GpuClock]:
    backend = record.backend if record else path.name.partition('-')[0]
    found = find_devices(files, cpufreq=True, nvml=backend == 'nvml', log=lambda words: None)
    clocks: list[GpuClock] = [device.clock for device in found]
    if backend == 'cpufreq' and record and ',' not in record.device:
        clocks = [clock for clock in clocks if clock.device != record.device]
        clocks.append(CpufreqGpuClock(files, record.device))
    if record and backend == 'emulated':
        clocks.append(EmulatedGpuClock(Path(record.device)))
    register = path.with_suffix('')  # an emulated clock's, which lies beside its file
    if record is None and register.is_file():
        clocks.append(EmulatedGpuClock(register))
    return clocks


def _check_owner(path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise HardwareError(f'{path} cannot be read: {error.strerror}') from error
    if status.st_uid not in (0, os.getuid()) or stat.S_IMODE(status.st_mode) & 0o022:
        raise HardwareError(
            f'{path} may have been written by somebody else: it is not obeyed; remove it, or run '
            'this as the user that it belongs to'
        )
