"""The CPU's clock where inference runs on the CPU: cpufreq in sysfs."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping
from pathlib import Path

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.cooling import Cooling
from visionscaling_ros.hardware.clocks.frequency_files import (
    FoundRange,
    FrequencyFiles,
    FrequencyNames,
)
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock, level_for
from visionscaling_ros.hardware.device_files import DeviceFiles

FOLDER = '/sys/devices/system/cpu/cpufreq'
POLICIES = f'{FOLDER}/policy*'
# kernel.org/doc/Documentation/admin-guide/pm/cpufreq.rst
NAMES = FrequencyNames(
    levels='scaling_available_frequencies',
    lowest='scaling_min_freq',
    highest='scaling_max_freq',
    current='scaling_cur_freq',
    governor='scaling_governor',
    governors='scaling_available_governors',
    unit_hz=1000,
    how_to_permit='install the helper (visionscaling clocks install-helper --cpufreq) or run as '
    'root',
)


class CpufreqGpuClock(GpuClock):
    """Sets the CPUs' lowest and highest frequency to one level, which any governor obeys.

    On a processor with several kinds of cores, those that reach the highest frequency are set,
    together, and the others left alone. Drivers that list no frequencies (intel_pstate,
    amd-pstate, cppc_cpufreq) take any value in a range and choose within it themselves: they have
    no levels here and are only read. Raises HardwareError when there is no such policy.

    A policy whose processors are all switched off cannot be read (EBUSY) and keeps its range
    (drivers/cpufreq/cpufreq.c, show and cpufreq_online): it is not among those that are set from
    the start, and takes the levels away when it goes later. A state names its policies, so that it
    can be restored whichever are there.

    :param device: name of one policy to set alone, for example 'policy4'; empty: as above.
    """

    name = 'cpufreq'

    def __init__(self, files: DeviceFiles, device: str = '') -> None:
        chosen = policies_of(files, device)
        if not chosen:
            there = ', '.join(_name(path) for path in files.find(POLICIES)) or 'none'
            raise HardwareError(
                f'no CPU policy{f" {device!r}" if device else ""} in {files.real(FOLDER)}; '
                f'policies there: {there}'
            )
        self._files = files
        self._policies = [FrequencyFiles(files, path, NAMES) for path in chosen]
        self._missing: list[FrequencyFiles] = []  # of the latest state, those that are offline
        self._one = _one(device)
        # the same whichever can be read
        self.device = f'{FOLDER}/{self._one}' if self._one else FOLDER
        self._cooling = Cooling(files, cooling_kinds(files, device))

    @property
    def available_frequencies_hz(self) -> tuple[float, ...]:
        """Levels all the policies list."""
        common = set.intersection(*(set(policy.levels()) for policy in self._policies))
        return tuple(float(level * NAMES.unit_hz) for level in sorted(common))

    def limits_hz(self) -> tuple[float, float]:
        """Lowest and highest of the ranges of those policies that can be read."""
        limits: list[tuple[int, int]] = []
        trouble: HardwareError | None = None
        for policy in self._policies:
            try:
                limits.append(policy.limits())
            except HardwareError as error:
                trouble = error
        if trouble is not None and not limits:
            raise trouble
        return (
            float(min(low for low, _ in limits) * NAMES.unit_hz),
            float(max(high for _, high in limits) * NAMES.unit_hz),
        )

    def frequency_hz(self) -> float:
        """The fastest policy's; NaN for a driver that does not tell."""
        return float(max(p.current() for p in self._policies) * NAMES.unit_hz) or math.nan

    def set_frequency(self, frequency_hz: float) -> float:
        """Pin all the policies to one level; undone when one of them refuses."""
        level_hz = level_for(self.available_frequencies_hz, frequency_hz)
        level = round(level_hz / NAMES.unit_hz)
        self._set_ranges([(policy, level, level) for policy in self._policies])
        return level_hz

    def access(self) -> str:
        """Whether the driver has levels and this process may write the policies' ranges."""
        for policy in self._policies:
            try:
                policy.bounds()
            except HardwareError as error:
                return str(error)
            if not policy.levels():
                return (
                    f'{policy.folder}: the driver {self._driver(policy)} lists no frequencies, '
                    'so none can be set exactly; boot with it disabled (intel_pstate=disable, '
                    'amd_pstate=disable) for one that does'
                )
            refused = policy.access()
            if refused:
                return refused
        return ''

    def state(self) -> dict[str, str]:
        """Range and governor of each policy, as ``policy0/scaling_min_freq``."""
        return {
            f'{policy.name}/{name}': value
            for policy in self._policies
            for name, value in policy.state().items()
        }

    def lock_paths(self) -> tuple[Path, ...]:
        """``scaling_min_freq`` of each policy."""
        return tuple(
            self._files.real(f'{policy.folder}/{NAMES.lowest}') for policy in self._policies
        )

    def held_by_heat(self) -> str:
        """The kernel's cooling devices of these CPUs, while they cool."""
        return self._cooling.held()

    def cap_hz(self, state: Mapping[str, str]) -> float:
        """Lowest ``scaling_max_freq`` of a state, of those policies that can be read."""
        found, trouble = self._found(state)
        if trouble is not None and not found:
            raise trouble
        return float(min(p.cap(_part(p, state)) for p, _ in found) * NAMES.unit_hz)

    def restore(self, state: Mapping[str, str]) -> None:
        """Write a checked state back, nothing of it when any part is no state of this clock.

        A policy that cannot be restored now is told at the end, after the others were.
        """
        if not state and not self.available_frequencies_hz:
            return  # it could never be set
        found, trouble = self._found(state)
        for policy, was in found:
            try:
                policy.restore(was)
            except HardwareError as error:
                trouble = error
        if trouble is not None:
            raise trouble

    def release(self) -> None:
        """Leave each policy's governor its whole range, as many as can be.

        Those of a state that could not be restored are among them.
        """
        trouble: HardwareError | None = None
        for policy in {p.folder: p for p in (*self._policies, *self._missing)}.values():
            try:
                policy.bounds()
                policy.release()
            except HardwareError as error:
                trouble = error
        if trouble is not None:
            raise trouble

    def _found(
        self, state: Mapping[str, str]
    ) -> tuple[list[tuple[FrequencyFiles, FoundRange]], HardwareError | None]:
        """A state's policies that can be read, checked, and why another cannot."""
        names = sorted({name.partition('/')[0] for name in state})
        mine = re.compile(re.escape(self._one) or r'policy\d+')
        if not (names and all(map(mine.fullmatch, names))):
            raise HardwareError(
                f'{self.device}: {dict(state)} is no state of this clock; allowed: a range and a '
                f'governor for each {self._one or "policy"}; nothing was written'
            )
        found: list[tuple[FrequencyFiles, FoundRange]] = []
        self._missing = []
        trouble: HardwareError | None = None
        for name in names:
            policy = FrequencyFiles(self._files, f'{FOLDER}/{name}', NAMES)
            try:
                policy.bounds()
            except HardwareError as error:
                self._missing.append(policy)
                trouble = error
                continue
            found.append((policy, policy.checked(_part(policy, state))))
        return found, trouble

    def _set_ranges(self, wanted: list[tuple[FrequencyFiles, int, int]]) -> None:
        done: list[tuple[FrequencyFiles, int, int]] = []
        for policy, lowest, highest in wanted:
            was = policy.bounds()
            try:
                policy.set_range(lowest, highest)
            except HardwareError:
                for other, was_lowest, was_highest in done:
                    with contextlib.suppress(HardwareError):  # the refusal is what to tell
                        other.set_range(was_lowest, was_highest)
                raise
            done.append((policy, *was))

    def _driver(self, policy: FrequencyFiles) -> str:
        try:
            return self._files.read(f'{policy.folder}/scaling_driver')
        except OSError:
            return 'in use'


def policies_of(files: DeviceFiles, device: str = '') -> list[str]:
    """Folders of the policies that a clock for ``device`` sets; empty where there are none."""
    policies = list(files.find(POLICIES))
    one = _one(device)
    if one:
        return [path for path in policies if _name(path) == one]
    highest = {path: FrequencyFiles(files, path, NAMES).levels()[-1:] for path in policies}
    return [path for path in policies if highest[path] == max(highest.values())]


def cooling_kinds(files: DeviceFiles, device: str = '') -> re.Pattern[str]:
    """Names of the cooling devices that narrow the ranges of those policies.

    drivers/thermal/cpufreq_cooling.c: ``cpufreq-cpu<first>``; before Linux 5.13 they are numbered,
    and ACPI's (drivers/acpi/processor_thermal.c) are all called Processor, so that any of them may
    be one of these. ``scaling_max_freq`` reads the range in force, theirs included.
    """
    cpus = {cpu for path in policies_of(files, device) for cpu in _cpus(files, path)}
    first = '|'.join(map(re.escape, sorted(cpus)))
    return re.compile(rf'cpufreq-cpu({first})|thermal-cpufreq-\d+|Processor')


def _one(device: str) -> str:
    """The one policy that a device names; empty for the fastest."""
    return '' if device == FOLDER else _name(device)


def _name(path: str) -> str:
    return path.rpartition('/')[2]


def _cpus(files: DeviceFiles, folder: str) -> list[str]:
    try:
        return files.read(f'{folder}/related_cpus').split()
    except OSError:
        return []


def _part(policy: FrequencyFiles, state: Mapping[str, str]) -> dict[str, str]:
    prefix = f'{policy.name}/'
    return {name[len(prefix) :]: text for name, text in state.items() if name.startswith(prefix)}
