"""A Jetson's GPU clock: devfreq in sysfs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.cooling import Cooling
from visionscaling_ros.hardware.clocks.frequency_files import FrequencyFiles, FrequencyNames
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock, level_for
from visionscaling_ros.hardware.device_files import DeviceFiles

FOLDER = '/sys/class/devfreq'
# kernel.org/doc/Documentation/ABI/testing/sysfs-class-devfreq
NAMES = FrequencyNames(
    levels='available_frequencies',
    lowest='min_freq',
    highest='max_freq',
    current='cur_freq',
    governor='governor',
    governors='available_governors',
    unit_hz=1,
    how_to_permit='install the helper (visionscaling clocks install-helper) or the udev rules '
    '(visionscaling clocks udev-rules), or run as root',
)
# Nano and Orin with JetPack 6: *.gpu; TX1, TX2, Xavier, Orin with JetPack 5: the chip's GPU; Thor:
# gpu-gpc-0 for graphics and compute, gpu-nvd-0 for the video engines.
_GPU = re.compile(r'.*\.(gpu|gm20b|gp10b|gv11b|ga10b|gb10b)|gpu-[a-z]+-\d+')
_GRAPHICS = re.compile(r'.*\.\w+|gpu-gpc-\d+')


def find_gpus(files: DeviceFiles) -> list[str]:
    """Paths of the machine's GPU clocks in devfreq, those that run graphics and compute first.

    Other devices of that class (video decoders, memory) are left out. A node counts by its own
    name or by its device's in the device tree, as github.com/rbonghi/jetson_stats tells them.
    """
    found = [path for path in files.find(f'{FOLDER}/*') if _is_gpu(files, path)]
    return sorted(found, key=lambda path: not _GRAPHICS.fullmatch(path.rpartition('/')[2]))


def cooling_kinds(device: str) -> re.Pattern[str]:
    """Names of the cooling devices that narrow a node's range.

    drivers/thermal/devfreq_cooling.c: ``devfreq-<node>``; before Linux 5.13 they are numbered, so
    that any of them may be this one's. ``max_freq`` reads the range in force, theirs included
    (drivers/devfreq/devfreq.c, get_freq_range).
    """
    node = re.escape(device.rpartition('/')[2])
    return re.compile(rf'devfreq-{node}|thermal-devfreq-\d+')


def _is_gpu(files: DeviceFiles, path: str) -> bool:
    if _GPU.fullmatch(path.rpartition('/')[2]):
        return True
    try:
        name = files.read(f'{path}/device/of_node/name').rstrip('\0')
    except OSError:
        return False
    return _GPU.fullmatch(f'.{name}') is not None


class DevfreqGpuClock(GpuClock):
    """Sets the lowest and the highest frequency to one level, which any governor obeys.

    The kernel keeps both until the next boot. A power mode (nvpmodel) bounds the GPU by the same
    two files: the highest frequency found there is the cap of what may be set.
    Raises HardwareError when there is no such GPU.

    :param device: path or name of the node; empty: the first that runs graphics and compute.
    """

    name = 'jetson'

    def __init__(self, files: DeviceFiles, device: str = '') -> None:
        gpus = find_gpus(files)
        wanted = device.rpartition('/')[2]
        chosen = next((path for path in gpus if wanted in ('', path.rpartition('/')[2])), None)
        if chosen is None:
            there = ', '.join(gpus) or 'none'
            raise HardwareError(
                f'no GPU{f" {device!r}" if device else ""} in {files.real(FOLDER)}; '
                f'GPUs there: {there}'
            )
        self.device = chosen
        self._files = files
        self._attributes = FrequencyFiles(files, chosen, NAMES)
        self._cooling = Cooling(files, cooling_kinds(chosen))

    @property
    def available_frequencies_hz(self) -> tuple[float, ...]:
        """What ``available_frequencies`` lists now; a power mode may change it."""
        return tuple(float(level) for level in self._attributes.levels())

    def limits_hz(self) -> tuple[float, float]:
        """``min_freq`` and ``max_freq``, which heat may narrow."""
        lowest, highest = self._attributes.limits()
        return float(lowest), float(highest)

    def frequency_hz(self) -> float:
        """``cur_freq``; NaN for a GPU that is switched off, which tells 0."""
        return float(self._attributes.current()) or math.nan

    def set_frequency(self, frequency_hz: float) -> float:
        """Pin the range to one level; what it runs at follows when it next does work."""
        level_hz = level_for(self.available_frequencies_hz, frequency_hz)
        self._attributes.set_range(int(level_hz), int(level_hz))
        return level_hz

    def access(self) -> str:
        """Whether this process may write ``min_freq`` and ``max_freq``."""
        return self._attributes.access()

    def lock_paths(self) -> tuple[Path, ...]:
        """``min_freq``."""
        return (self._files.real(f'{self.device}/{NAMES.lowest}'),)

    def held_by_heat(self) -> str:
        """The kernel's cooling device of this GPU, while it cools."""
        return self._cooling.held()

    def state(self) -> dict[str, str]:
        """``min_freq``, ``max_freq`` and ``governor``."""
        return self._attributes.state()

    def cap_hz(self, state: Mapping[str, str]) -> float:
        """``max_freq`` of a state."""
        return float(self._attributes.cap(state))

    def restore(self, state: Mapping[str, str]) -> None:
        """Write a checked state back; nothing is written when it is no state of this GPU."""
        self._attributes.restore(self._attributes.checked(state))

    def release(self) -> None:
        """Leave the governor the whole range."""
        self._attributes.release()
