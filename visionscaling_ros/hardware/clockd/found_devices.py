"""The devices the helper sets: those it finds when it starts, and nothing else of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clockd.allow_listed_files import AllowListedFiles
from visionscaling_ros.hardware.clocks.cpufreq_gpu_clock import NAMES, POLICIES, CpufreqGpuClock
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock, find_gpus
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.clocks.nvml_gpu_clock import NvmlGpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.nvml_session import NvmlSession

MAX_CARDS = 64


@dataclass(frozen=True)
class FoundDevice:
    """A clock and all that setting it can change.

    :param writes: paths as the machine names them, or words for what is no file.
    """

    clock: GpuClock
    writes: tuple[str, ...]


def find_devices(
    files: DeviceFiles, *, cpufreq: bool, nvml: bool, log: Callable[[str], None]
) -> list[FoundDevice]:
    """Every device of the machine, settable or not; ``log`` is told why there is none of a kind."""
    found = [*_devfreq(files, log)]
    if cpufreq:
        found += _cpufreq(files, log)
    if nvml:
        found += _nvml(files, log)
    return found


def settable(found: Sequence[FoundDevice], log: Callable[[str], None]) -> list[FoundDevice]:
    """Those that this process can set; ``log`` is told why the others cannot be."""
    refused = {device.clock.device: device.clock.access() for device in found}
    for name, why in refused.items():
        if why:
            log(f'{name} is not served: {why}')
    return [device for device in found if not refused[device.clock.device]]


def _devfreq(files: DeviceFiles, log: Callable[[str], None]) -> Iterator[FoundDevice]:
    for path in find_gpus(files):
        try:
            writes = _paths(path, DevfreqGpuClock(files, path))
        except HardwareError as error:
            log(str(error))
            continue
        yield FoundDevice(DevfreqGpuClock(AllowListedFiles(files.root, writes), path), writes)


def _cpufreq(files: DeviceFiles, log: Callable[[str], None]) -> Iterator[FoundDevice]:
    try:
        # those that are offline now as well: they may come back while their cluster is set
        folders = files.find(POLICIES)
        writes = tuple(f'{folder}/{name}' for folder in folders for name in NAMES.written)
        clock = CpufreqGpuClock(AllowListedFiles(files.root, writes))
    except HardwareError as error:
        log(str(error))
        return
    yield FoundDevice(clock, writes)


def _nvml(files: DeviceFiles, log: Callable[[str], None]) -> Iterator[FoundDevice]:
    for index in range(MAX_CARDS):
        try:
            clock = NvmlGpuClock(NvmlSession(str(index)), files)
        except HardwareError as error:
            if index == 0:
                log(str(error))
            return
        yield FoundDevice(clock, (f'locked clocks of {clock.device}, through NVML',))


def _paths(folder: str, clock: GpuClock) -> tuple[str, ...]:
    # a clock's state is all that setting it may change
    return tuple(f'{folder}/{name}' for name in clock.state())
