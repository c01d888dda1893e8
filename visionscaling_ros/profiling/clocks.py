"""The GPU clock to measure at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from visionscaling_ros.datatypes import NOMINAL_FREQUENCY_HZ
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import EmulatedGpuClock
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.clocks.no_gpu_clock import NoGpuClock

BACKENDS = ('auto', 'emulated', 'none')


def guarded_clock(backend: str, emulated_levels_hz: Sequence[float], folder: Path) -> ClockGuard:
    """The clock of this machine, or an emulated one of the profiler's own, guarded.

    ``auto`` is the clock found here; until real ones are supported that is none. Raises
    InvalidValueError for a backend there is not.

    :param folder: where an emulated clock's register and the state found are kept.
    """
    clock: GpuClock
    if backend == 'emulated':
        clock = EmulatedGpuClock(folder / 'emulated_gpu-profile', emulated_levels_hz)
    elif backend in BACKENDS:
        clock = NoGpuClock()
    else:
        raise InvalidValueError('backend', backend, ', '.join(BACKENDS))
    return ClockGuard(clock, folder / f'{clock.name}-profile.found')


def levels_hz(clock: GpuClock) -> tuple[float, ...]:
    """Clocks to measure at: the device's levels; the one it runs at where it cannot be set [Hz].

    NOMINAL_FREQUENCY_HZ stands for a clock that is not known.
    """
    if clock.available_frequencies_hz:
        return clock.available_frequencies_hz
    frequency_hz = clock.frequency_hz()
    return (NOMINAL_FREQUENCY_HZ if math.isnan(frequency_hz) else frequency_hz,)
