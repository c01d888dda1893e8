"""The GPU clock to measure at."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from pathlib import Path

from visionscaling_ros.datatypes import NOMINAL_FREQUENCY_HZ
from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.choice import ClockChoice, open_clock
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import find_gpus
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.clocks.no_gpu_clock import NoGpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.state_file import state_file_of
from visionscaling_ros.vision.engines.devices import device_for


def choose_clock(
    backend: str,
    emulated_levels_hz: Sequence[float],
    folder: Path,
    *,
    files: DeviceFiles,
    device: str = 'auto',
) -> ClockChoice:
    """The clock of this machine, or an emulated one of the profiler's own.

    Raises InvalidValueError for a backend there is not, HardwareError for a named one whose
    device is not there.

    :param folder: where an emulated clock's register is kept.
    :param files: the machine.
    :param device: what models run on, as the profiler is told; on the CPU, ``auto`` is the CPU's
        clock, and on one of several cards that card's.
    """
    on_cpu = backend == 'auto' and runs_on_cpu(device)
    try:
        return open_clock(
            'cpufreq' if on_cpu else backend,
            files=files,
            device=_clock_of(backend, device, files),
            register=folder / 'emulated_gpu-profile',
            emulated_levels_hz=emulated_levels_hz,
        )
    except HardwareError as error:
        if not on_cpu:
            raise
        return ClockChoice(NoGpuClock(), f'models run on the CPU, and {error}')


def guarded(clock: GpuClock, root: Path = Path('/')) -> ClockGuard:
    """The clock, to be set and given back; what its found state is kept in, all commands share."""
    return ClockGuard(clock, state_file_of(clock, root))


def runs_on_cpu(device: str) -> bool:
    """Whether models do, on what the profiler is told; ``auto`` is what torch takes first."""
    return device_for('torch', device) == 'cpu'


def card_of(device: str) -> str:
    """UUID of the card that torch calls ``cuda:N``; empty where torch does not say.

    NVML counts the cards in another order than CUDA may. For ``auto``, torch's first card.
    """
    device = device_for('torch', device)
    if not device.startswith('cuda'):
        return ''
    cuda = importlib.import_module('torch').cuda
    if not cuda.is_available():
        return ''
    uuid = getattr(cuda.get_device_properties(device), 'uuid', None)  # since torch 2.4
    return '' if uuid is None else f'GPU-{uuid}'


def _clock_of(backend: str, device: str, files: DeviceFiles) -> str:
    """Which clock open_clock is asked for; a Jetson's is not named after torch's device."""
    by_card = backend == 'nvml' or (backend == 'auto' and not find_gpus(files))
    return card_of(device) if by_card else ''


def levels_hz(clock: GpuClock) -> tuple[float, ...]:
    """Clocks to measure at: the device's levels; the one it runs at where it cannot be set [Hz].

    NOMINAL_FREQUENCY_HZ stands for a clock that is not known.
    """
    if clock.available_frequencies_hz:
        return clock.available_frequencies_hz
    frequency_hz = clock.frequency_hz()
    return (NOMINAL_FREQUENCY_HZ if math.isnan(frequency_hz) else frequency_hz,)
