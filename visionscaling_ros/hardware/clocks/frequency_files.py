"""The attributes by which the kernel lets a range of frequencies be set: devfreq's and cpufreq's.

Both hold a governor between a lowest and a highest frequency. Kernels up to 4.19 refuse a lowest
above the highest with EINVAL (drivers/devfreq/devfreq.c min_freq_store); later ones lower it
silently (get_freq_range), and round devfreq's to kHz. Since 5.3 cpufreq takes a bound at once and
applies it a moment later (drivers/cpufreq/cpufreq.c cpufreq_notifier_min). What is read back is
the range in force, which heat or another part of the kernel may hold narrower than was asked for.
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.device_files import DeviceFiles

_WHY = {
    errno.EROFS: '/sys is read-only here: mount it writable into the container',
    errno.EINVAL: 'the kernel refuses it: another limit forbids this value',
    errno.EBUSY: 'it is busy, suspended, changing or switched off: try again',
    errno.ENOENT: "it is gone: the device's driver was unloaded",
    errno.ENODEV: "it is gone: the device's driver was unloaded",
}
_MOST = 2**63 - 1  # what nvpmodel writes for "no bound"
_ROUNDING_HZ = 1000  # devfreq keeps kHz
_SETTLE_S = 0.05
_POLL_S = 0.001


@dataclass(frozen=True)
class FrequencyNames:
    """What the attributes are called, and their unit.

    :param unit_hz: one of the files' units [Hz].
    :param how_to_permit: what lets a user write them.
    """

    levels: str
    lowest: str
    highest: str
    current: str
    governor: str
    governors: str
    unit_hz: int
    how_to_permit: str

    @property
    def written(self) -> tuple[str, ...]:
        """All that is ever written."""
        return self.lowest, self.highest, self.governor


@dataclass(frozen=True)
class FoundRange:
    """A checked state as the files had it, 0 and beyond all levels being no bound."""

    lowest: int
    highest: int
    governor: str


class FrequencyFiles:
    """One folder of such attributes; numbers in the files' units. Raises HardwareError in words.

    :param folder: as the machine names it, for example ``/sys/class/devfreq/17000000.gpu``.
    """

    def __init__(self, files: DeviceFiles, folder: str, names: FrequencyNames) -> None:
        self._files = files
        self.folder = folder
        self._names = names

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.rpartition('/')[2]

    def levels(self) -> tuple[int, ...]:
        """What the hardware lists now, ascending; empty where it lists nothing."""
        try:
            words = self._files.read(self._path(self._names.levels)).split()
        except OSError:
            return ()
        return tuple(sorted({int(word) for word in words if word.isdecimal() and int(word)}))

    def limits(self) -> tuple[int, int]:
        """The range in force, 0 and beyond all levels read as no bound."""
        return self._in_force(*self.bounds())

    def bounds(self) -> tuple[int, int]:
        """The range as the files hold it."""
        return self._number(self._names.lowest), self._number(self._names.highest)

    def cap(self, state: Mapping[str, str]) -> int:
        """The highest frequency that a state allows."""
        found = self.checked(state)
        return self._in_force(found.lowest, found.highest)[1]

    def current(self) -> int:
        """What it runs at."""
        return self._number(self._names.current)

    def access(self) -> str:
        """Why the range may not be set; empty where it may."""
        for name in (self._names.lowest, self._names.highest):
            path = self._path(name)
            if not self._files.exists(path):
                return f'{path} is not there: the device has no such file or its driver is gone'
            if not self._files.may_write(path):
                return f'{path} may not be written by this user: {self._names.how_to_permit}'
        return ''

    def set_range(self, lowest: int, highest: int) -> None:
        """Hold the governor in a range and read it back; undone when the kernel takes half of it.

        The bound that makes room goes first, so that the lowest never lies above the highest.
        """
        was_lowest, was_highest = self.bounds()
        low = self._names.lowest, lowest, was_lowest
        high = self._names.highest, highest, was_highest
        wanted = self._in_force(lowest, highest)
        upwards = wanted[0] > self._in_force(was_lowest, was_highest)[1]
        (first, value, was), (second, other, _) = (high, low) if upwards else (low, high)
        self._write(first, value)
        try:
            self._write(second, other)
        except HardwareError:
            with contextlib.suppress(HardwareError):  # the first refusal is what to tell
                self._write(first, was)
            raise
        read = self._settled(wanted)
        if read != wanted:
            raise HardwareError(
                f'{self.folder}: wrote {self._words(*wanted)}, reads back '
                f'{self._words(*read)}: heat holds it, or something else sets it too (nvpmodel, '
                'jetson_clocks, a power daemon); it is left as it reads'
            )

    def state(self) -> dict[str, str]:
        """What the files hold; empty where no levels are listed."""
        if not self.levels():
            return {}
        lowest, highest = self.bounds()
        return {
            self._names.lowest: str(lowest),
            self._names.highest: str(highest),
            self._names.governor: self._read(self._names.governor),
        }

    def checked(self, state: Mapping[str, str]) -> FoundRange:
        """A state that may be written; raises HardwareError for any other.

        Beyond the highest level counts as no bound: levels may have become fewer since.
        """
        levels = self.levels()
        if not levels:
            raise HardwareError(f'{self.folder} lists no frequencies: nothing can be restored')
        lowest = self._bound(state, self._names.lowest)
        highest = self._bound(state, self._names.highest)
        if 0 < highest < max(levels[0], lowest):
            self._refuse(state, f'{levels[0]} to {levels[-1]}, the lowest not above the highest')
        governor = state.get(self._names.governor, '')
        governors = self._read(self._names.governors).split()
        if governor not in governors:
            self._refuse(state, f'a {self._names.governor} of {" ".join(governors)}')
        return FoundRange(lowest, highest, governor)

    def restore(self, found: FoundRange) -> None:
        """Bring back a governor and a range, the range even when the governor is refused.

        The governor goes first: one that starts may set the range itself.
        """
        trouble: HardwareError | None = None
        if self._read(self._names.governor) != found.governor:
            try:
                self._write(self._names.governor, found.governor)
            except HardwareError as error:
                trouble = error
        self.set_range(found.lowest, found.highest)
        if trouble is not None:
            raise trouble

    def release(self) -> None:
        """Leave the governor all levels; nothing to do where none are listed."""
        levels = self.levels()
        if levels:
            self.set_range(levels[0], levels[-1])

    def _in_force(self, lowest: int, highest: int) -> tuple[int, int]:
        """What bounds come to; levels may have become fewer since they were read."""
        levels = self.levels()
        if not levels:
            return lowest, highest
        highest = min(highest or levels[-1], levels[-1])
        lowest = min(max(lowest, levels[0]), highest)
        return self._listed(lowest, levels), self._listed(highest, levels)

    def _settled(self, wanted: tuple[int, int]) -> tuple[int, int]:
        """What is read back once it is as asked for, or will not become so."""
        give_up_s = time.monotonic() + _SETTLE_S
        while (read := self.limits()) != wanted and time.monotonic() < give_up_s:
            time.sleep(_POLL_S)
        return read

    def _path(self, name: str) -> str:
        return f'{self.folder}/{name}'

    def _words(self, lowest: int, highest: int) -> str:
        mhz = self._names.unit_hz / 1e6
        return f'{lowest * mhz:g} to {highest * mhz:g} MHz'

    def _listed(self, value: int, levels: tuple[int, ...]) -> int:
        """The level that ``value`` is but for the kernel's rounding, else ``value``."""
        near = min(levels, key=lambda level: abs(level - value))
        return near if abs(near - value) * self._names.unit_hz < _ROUNDING_HZ else value

    def _bound(self, state: Mapping[str, str], name: str) -> int:
        text = state.get(name, '')
        if not (isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 20):
            self._refuse(state, f'a number as {name}')
        if int(text) > _MOST:
            self._refuse(state, f'{name} up to {_MOST}')
        return int(text)

    def _refuse(self, state: Mapping[str, str], allowed: str) -> NoReturn:
        raise HardwareError(
            f'{self.folder}: {dict(state)} is no state of this device; allowed: {allowed}; '
            'nothing was written'
        )

    def _number(self, name: str) -> int:
        text = self._read(name)
        if not (text.isascii() and text.isdecimal()):
            raise HardwareError(f'{self._path(name)} reads {text!r}; expected: a number')
        return int(text)

    def _read(self, name: str) -> str:
        path = self._path(name)
        try:
            return self._files.read(path).partition('\n')[0]  # all that an attribute has
        except OSError as error:
            raise HardwareError(f'{path} cannot be read: {self._why(error)}') from error

    def _write(self, name: str, value: object) -> None:
        path = self._path(name)
        try:
            self._files.write(path, str(value))
        except OSError as error:
            raise HardwareError(f'{path} does not take {value}: {self._why(error)}') from error

    def _why(self, error: OSError) -> str:
        if error.errno in (errno.EACCES, errno.EPERM):
            return f'not permitted: {self._names.how_to_permit}'
        return _WHY.get(error.errno or 0, error.strerror or str(error))
