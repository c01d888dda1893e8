"""The CPU's clock where inference runs on the CPU: cpufreq in sysfs."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.frequency_files import (
    FrequencyFiles,
    FrequencyNames,
)
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock, level_for
from visionscaling_ros.hardware.device_files import DeviceFiles

FOLDER = '/sys/devices/system/cpu/cpufreq'
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

    :param device: name of one policy to set alone, for example 'policy4'; empty: as above.
    """

    name = 'cpufreq'

    def __init__(self, files: DeviceFiles, device: str = '') -> None:
        policies = [FrequencyFiles(files, path, NAMES) for path in files.find(f'{FOLDER}/policy*')]
        chosen = (
            [policy for policy in policies if policy.name == device.rpartition('/')[2]]
            if device
            else _fastest(policies)
        )
        if not chosen:
            there = ', '.join(policy.name for policy in policies) or 'none'
            raise HardwareError(
                f'no CPU policy{f" {device!r}" if device else ""} in {files.real(FOLDER)}; '
                f'policies there: {there}'
            )
        self._files = files
        self._policies = chosen
        self.device = f'{FOLDER}/' + ','.join(policy.name for policy in chosen)

    @property
    def available_frequencies_hz(self) -> tuple[float, ...]:
        """Levels all the policies list."""
        common = set.intersection(*(set(policy.levels()) for policy in self._policies))
        return tuple(float(level * NAMES.unit_hz) for level in sorted(common))

    def limits_hz(self) -> tuple[float, float]:
        """Lowest and highest of the policies' ranges."""
        limits = [policy.limits() for policy in self._policies]
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

    def cap_hz(self, state: Mapping[str, str]) -> float:
        """Lowest ``scaling_max_freq`` of a state."""
        caps = [policy.cap(self._part(policy, state)) for policy in self._policies]
        return float(min(caps) * NAMES.unit_hz)

    def restore(self, state: Mapping[str, str]) -> None:
        """Write a checked state back, nothing of it when any part is no state of this clock."""
        if not state and not self.available_frequencies_hz:
            return  # it could never be set
        found = [(p, p.checked(self._part(p, state))) for p in self._policies]
        trouble: HardwareError | None = None
        for policy, was in found:
            try:
                policy.restore(was)
            except HardwareError as error:
                trouble = error
        if trouble is not None:
            raise trouble

    def release(self) -> None:
        """Leave each policy's governor its whole range."""
        for policy in self._policies:
            policy.release()

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

    def _part(self, policy: FrequencyFiles, state: Mapping[str, str]) -> dict[str, str]:
        prefix = f'{policy.name}/'
        parts = {name: text for name, text in state.items() if name.startswith(prefix)}
        return {name.removeprefix(prefix): text for name, text in parts.items()}

    def _driver(self, policy: FrequencyFiles) -> str:
        try:
            return self._files.read(f'{policy.folder}/scaling_driver')
        except OSError:
            return 'in use'


def _fastest(policies: list[FrequencyFiles]) -> list[FrequencyFiles]:
    """Those whose highest level is the highest of all; all of them without levels."""
    highest = max((policy.levels()[-1:] for policy in policies), default=())
    return [policy for policy in policies if policy.levels()[-1:] == highest]
