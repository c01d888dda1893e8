"""What the kernel does to a clock while it is hot: the cooling devices that narrow its range."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from visionscaling_ros.hardware.device_files import DeviceFiles

# cpufreq has a bound's end at once in the state, in the range a moment later.
SETTLE_S = 0.05


@dataclass(frozen=True)
class CoolingDevice:
    """One cooling device.

    :param kind: its name for people.
    :param state: path of a number, 0 while nothing is cooled.
    """

    kind: str
    state: str


def cooling_devices(files: DeviceFiles, kinds: re.Pattern[str]) -> Iterator[CoolingDevice]:
    """The machine's cooling devices whose whole name matches."""
    for path in files.find('/sys/class/thermal/cooling_device*/type'):
        try:
            kind = files.read(path)
        except OSError:
            continue
        if kinds.fullmatch(kind):
            yield CoolingDevice(kind, f'{path.rpartition("/")[0]}/cur_state')


class Cooling:
    """Whether a clock is held by cooling devices. For one thread at a time.

    :param kinds: names of those that narrow its range.
    """

    def __init__(self, files: DeviceFiles, kinds: re.Pattern[str]) -> None:
        self._files = files
        self._kinds = kinds
        self._held = ''
        self._held_s = -math.inf

    def held(self) -> str:
        """As ``GpuClock.held_by_heat``; also a moment longer than the devices say."""
        active = [
            device.kind
            for device in cooling_devices(self._files, self._kinds)
            if self._state(device) > 0
        ]
        if active:
            self._held, self._held_s = ', '.join(active), time.monotonic()
        elif time.monotonic() - self._held_s > SETTLE_S:
            return ''
        return (
            f'the kernel cools it ({self._held}): the range that is read now is not the one to '
            'restore later, so it is not set before that ends'
        )

    def _state(self, device: CoolingDevice) -> float:
        try:
            return float(self._files.read(device.state))
        except (OSError, ValueError):
            return 0.0
