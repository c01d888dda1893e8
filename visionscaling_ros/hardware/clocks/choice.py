"""Which clock of this machine is set, by whom, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.clocks.cpufreq_gpu_clock import CpufreqGpuClock
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import (
    AGX_ORIN_FREQUENCIES_HZ,
    EmulatedGpuClock,
)
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.clocks.no_gpu_clock import NoGpuClock
from visionscaling_ros.hardware.clocks.nvml_gpu_clock import NvmlGpuClock
from visionscaling_ros.hardware.clocks.read_only_gpu_clock import ReadOnlyGpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.nvml_session import NvmlSession

BACKENDS = ('auto', 'jetson', 'nvml', 'cpufreq', 'emulated', 'none')
COMPATIBLE = '/proc/device-tree/compatible'
# include/linux/pci_ids.h: PCI_VENDOR_ID_NVIDIA, PCI_BASE_CLASS_DISPLAY
NVIDIA_VENDOR, DISPLAY_CLASS = '0x10de', '0x03'
HELPER_SOCKET = '/run/visionscaling-clockd/socket'


@dataclass(frozen=True)
class ClockChoice:
    """A clock, why it is this one, and why each other one is not.

    :param why: names who sets it, or why nobody does and what to install.
    :param rejected: of ``auto``, one sentence for each backend that was passed over.
    """

    clock: GpuClock
    why: str
    rejected: tuple[str, ...] = ()


def open_clock(
    backend: str,
    *,
    files: DeviceFiles,
    device: str = '',
    helper_socket: str = HELPER_SOCKET,
    register: Path | None = None,
    emulated_levels_hz: Sequence[float] = AGX_ORIN_FREQUENCIES_HZ,
) -> ClockChoice:
    """The clock of a backend; ``auto`` takes the first that is there of jetson, nvml, cpufreq.

    A clock that this process may not write is set by the helper; where that is no way either, it
    is only read (ReadOnlyGpuClock), and ``why`` says what to install. ``auto`` takes cpufreq only
    on a machine without an NVIDIA GPU, and only if it can be set, and never raises HardwareError:
    without any of them it is NoGpuClock. Raises InvalidValueError for a backend there is not,
    HardwareError for a named one whose device is not there.

    :param device: which one, as the backends name them; empty: the first.
    :param helper_socket: the helper's socket; empty: it is not asked.
    :param register: the emulated clock's file.
    """
    if backend == 'none':
        return ClockChoice(NoGpuClock(), 'backend none was asked for: no clock is set')
    if backend == 'emulated':
        if register is None:
            raise InvalidValueError('register', register, 'the file of the emulated clock')
        return ClockChoice(
            EmulatedGpuClock(register, emulated_levels_hz), 'backend emulated was asked for'
        )
    if backend == 'auto':
        return _first(files, device, helper_socket)
    if backend not in BACKENDS:
        raise InvalidValueError('backend', backend, ', '.join(BACKENDS))
    clock, why = _settable(_open(backend, files, device), helper_socket)
    return ClockChoice(clock, f'backend {backend} was asked for; {why}')


def _first(files: DeviceFiles, device: str, helper_socket: str) -> ClockChoice:
    rejected: list[str] = []
    for backend in ('jetson', 'nvml', 'cpufreq'):
        if backend == 'nvml' and files.root != Path('/'):
            rejected.append(f"nvml: not asked, since {files.root} stands for another machine's /")
            continue
        try:
            gpu = _nvidia_gpu(files) if backend == 'cpufreq' and not device else ''
            if gpu:
                rejected.append(f'cpufreq: left alone, since there is an NVIDIA GPU: {gpu}')
                continue
            clock, why = _settable(_open(backend, files, device), helper_socket)
        except (HardwareError, OSError) as error:
            rejected.append(f'{backend}: {error}')
            continue
        if backend == 'cpufreq' and not clock.available_frequencies_hz:
            rejected.append(f'cpufreq: {why}')
            continue
        return ClockChoice(clock, f'{backend} is the first that is there; {why}', tuple(rejected))
    return ClockChoice(NoGpuClock(), 'no clock that can be set is there', tuple(rejected))


def _nvidia_gpu(files: DeviceFiles) -> str:
    """What says that there is one, whether or not it can be used; empty for nothing."""
    try:
        if 'nvidia,tegra' in files.read(COMPATIBLE):
            return COMPATIBLE
    except OSError:
        pass  # most computers have no device tree
    for path in files.find('/sys/bus/pci/devices/*/vendor'):
        folder = path.rpartition('/')[0]
        try:
            vendor, kind = files.read(path), files.read(f'{folder}/class')
        except OSError:
            continue
        if vendor == NVIDIA_VENDOR and kind.startswith(DISPLAY_CLASS):
            return folder
    return ''


def _open(backend: str, files: DeviceFiles, device: str) -> GpuClock:
    if backend == 'jetson':
        return DevfreqGpuClock(files, device)
    if backend == 'cpufreq':
        return CpufreqGpuClock(files, device)
    session = NvmlSession(device)
    try:
        return NvmlGpuClock(session, files)
    except BaseException:
        session.close()
        raise


def _settable(clock: GpuClock, helper_socket: str) -> tuple[GpuClock, str]:
    """The clock as this process can set it, else read-only; and who sets it or why nobody does."""
    refused = clock.access()
    if not refused:
        return clock, f'{clock.device} is set by this process'
    if not clock.available_frequencies_hz:
        return ReadOnlyGpuClock(clock, refused), f'it is only read: {refused}'
    if helper_socket:
        # the helper's own process has no need of its client
        from visionscaling_ros.hardware.clockd.clockd_gpu_clock import (  # noqa: PLC0415
            ClockdGpuClock,
        )

        helped = ClockdGpuClock(clock, Path(helper_socket))
        no_helper = helped.access()
        if not no_helper:
            return helped, f'{clock.device} is set by the helper at {helper_socket}'
        refused = f'{refused}; {no_helper}'
    return ReadOnlyGpuClock(clock, refused), f'it is only read: {refused}'
