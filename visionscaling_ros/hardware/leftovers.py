"""Undoes what killed processes of this user left, without running them again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clockd.found_devices import find_devices
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.cpufreq_gpu_clock import FOLDER as CPUFREQ_FOLDER
from visionscaling_ros.hardware.clocks.cpufreq_gpu_clock import CpufreqGpuClock
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import EmulatedGpuClock
from visionscaling_ros.hardware.clocks.found_record import (
    FoundRecord,
    read_record,
    record_files,
    remove_record,
)
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.clocks.owner_lock import OwnedError
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.state_file import is_of_machine, state_file_of
from visionscaling_ros.hardware.state_folder import state_folder


def restore_all(files: DeviceFiles, *, but: Path | None = None) -> Iterator[str]:
    """Undo what killed processes of this user left on a machine, in whatever way they set it.

    What was done and what could not be, in words; nothing of what a living process has set.

    :param but: a file that is left to its owner.
    """
    for path in record_files(state_folder()):
        if path == but or not is_of_machine(path, files.root):
            continue
        try:
            yield from restore_file(path, files)
        except OwnedError:
            continue
        except HardwareError as error:
            yield f'not restored: {error}'


def restore_file(path: Path, files: DeviceFiles, *, any_name: bool = False) -> list[str]:
    """Undo what the process that kept this file left set; what was done, in words.

    Raises HardwareError where the device is not there, its owner lives, it cannot be restored, or
    somebody else may have written the file.

    :param any_name: go by what the file says, not by its name; for a file that was named by hand.
    """
    try:
        record = read_record(path)
    except FileNotFoundError:
        raise HardwareError(f'{path} is not there: nothing was left set') from None
    said: list[str] = []
    clock = _clock_of(path, record, files, any_name=any_name)
    if clock is None:
        return [_drop_or_keep(path, record)]
    with ClockGuard(clock, path, said.append) as guard:
        if guard.restore_leftover() and not said:
            said.append(f'{clock.device} is restored to the state that it was found in')
    return said or [f'{clock.device} was restored by its owner meanwhile']


def _clock_of(
    path: Path, record: FoundRecord | None, files: DeviceFiles, *, any_name: bool
) -> GpuClock | None:
    clocks = _clocks(path, record, files)
    named = [clock for clock in clocks if state_file_of(clock, files.root).name == path.name]
    meant = [
        clock
        for clock in (clocks if any_name and record else named)
        if record is None or (clock.name, clock.device) == (record.backend, record.device)
    ]
    return meant[0] if meant else None


def _drop_or_keep(path: Path, record: FoundRecord | None) -> str:
    """What becomes of the state of a device that is not there; raises HardwareError if kept."""
    what = f'{record.device} ({record.backend})' if record else 'a device it no longer names'
    if record is None or not record.of_earlier_boot:
        raise HardwareError(
            f'{path} holds the state of {what}, which is not on this machine now; it is kept'
        )
    remove_record(path)
    return (
        f'{path} holds the state of {what} before this machine was started again, which is not on '
        'it now: it is dropped'
    )


def _clocks(path: Path, record: FoundRecord | None, files: DeviceFiles) -> Sequence[GpuClock]:
    backend = record.backend if record else path.name.partition('-')[0]
    found = find_devices(files, cpufreq=True, nvml=backend == 'nvml', log=lambda words: None)
    clocks: list[GpuClock] = [device.clock for device in found]
    if backend == 'cpufreq' and record and record.device != CPUFREQ_FOLDER:
        clocks.append(CpufreqGpuClock(files, record.device))
    if record and backend == 'emulated':
        clocks.append(EmulatedGpuClock(Path(record.device)))
    register = path.with_suffix('')  # an emulated clock's, which lies beside its file
    if record is None and register.is_file():
        clocks.append(EmulatedGpuClock(register))
    return clocks
