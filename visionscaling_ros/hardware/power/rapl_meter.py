"""The energy counters of a PC's processor."""

from __future__ import annotations

import time
from dataclasses import dataclass

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.power.attribute import Attribute, word
from visionscaling_ros.hardware.power.energy_counter import EnergyCounter
from visionscaling_ros.hardware.power.power_meter import PowerMeter, PowerSample, Scope

ZONES = '/sys/class/powercap/intel-rapl:*'  # not intel-rapl-mmio:*, the same counters again
MAX_POWER_W = 2000.0  # of a domain
# The counters are updated about every millisecond (Intel's SDM, volume 3B, "RAPL Interfaces"); a
# mean over ten of them is not shaken by where in one a reading falls.
PERIOD_S = 0.01
ROOT_ONLY = (
    'only root may since 2020, because the counters tell about other programs too '
    '(CVE-2020-8694). Where all who can log in are trusted: '
    'sudo chmod o+r /sys/class/powercap/intel-rapl:*/energy_uj (until the next start), or a udev '
    'rule that does it'
)


@dataclass(frozen=True)
class _Domain:
    rail: str
    energy: Attribute
    counter: EnergyCounter


class RaplMeter(PowerMeter):
    """Intel's and AMD's processors, through the kernel's power capping interface.

    The total is that of the packages, or psys where the board has it wired: the whole platform.
    core and uncore are parts of their package; dram is beside it and not in the total. Source:
    kernel.org/doc/Documentation/power/powercap/powercap.rst. Raises HardwareError without
    counters, or when they may not be read.
    """

    name = 'rapl'
    period_s = PERIOD_S

    def __init__(self, files: DeviceFiles) -> None:
        self._domains = _find_domains(files)
        tops = [domain for domain in self._domains if '/' not in domain.rail]
        if not tops:
            raise HardwareError(
                'no energy counter under /sys/class/powercap/intel-rapl:*: not a PC, or the '
                'kernel module intel_rapl_msr is not loaded'
            )
        try:
            counts = {domain.rail: domain.energy.number() for domain in tops}
        except HardwareError as error:
            self.close()
            denied = isinstance(error.__cause__, PermissionError)
            raise HardwareError(f'{error}: {ROOT_ONLY}' if denied else str(error)) from error
        board = tuple(rail for rail in counts if rail == 'psys' and counts[rail])
        packages = tuple(rail for rail in counts if rail.startswith('package'))
        self._total = board or packages or tuple(counts)
        self.scope = Scope.BOARD if board else Scope.CPU
        self.covers_radio = bool(board)  # psys is the whole platform
        self.device = f'RAPL {", ".join(self._total)}'
        for domain in tops:
            domain.counter.update(counts[domain.rail], time.monotonic())

    @property
    def rails(self) -> tuple[str, ...]:
        """Domains, as ``package-0`` and ``package-0/core``."""
        return tuple(domain.rail for domain in self._domains)

    @property
    def total_rails(self) -> tuple[str, ...]:
        """psys, else the packages."""
        return self._total

    def read(self) -> PowerSample:
        """Energy of every domain, and its mean power over the last PERIOD_S or more."""
        time_s = time.monotonic()
        power_w: dict[str, float] = {}
        energy_j: dict[str, float] = {}
        trouble: dict[str, str] = {}
        restarted: set[str] = set()
        for domain in self._domains:
            rail, counter = domain.rail, domain.counter
            try:
                if not counter.update(domain.energy.number(), time_s):
                    restarted.add(rail)
            except HardwareError as error:
                trouble[rail] = str(error)
                continue
            energy_j[rail] = counter.energy_j
            if counter.power_w >= 0.0:  # NaN: none yet
                power_w[rail] = counter.power_w
        if trouble and not any(rail in energy_j for rail in self._total):
            raise HardwareError('; '.join(trouble[rail] for rail in self._total))
        return PowerSample(time_s, power_w, energy_j, frozenset(restarted), trouble)

    def close(self) -> None:
        """Close the files."""
        for domain in self._domains:
            domain.energy.close()


def _find_domains(files: DeviceFiles) -> tuple[_Domain, ...]:
    domains: dict[str, _Domain] = {}
    for zone in files.find(ZONES):
        name = word(files, f'{zone}/name')
        energy = f'{zone}/energy_uj'
        if not name or not files.exists(energy):
            continue
        top, _, part = zone.rpartition('/')[2].partition(':')[2].partition(':')
        if part:
            name = f'{word(files, f"/sys/class/powercap/intel-rapl:{top}/name")}/{name}'
        range_uj = word(files, f'{zone}/max_energy_range_uj')
        counter = EnergyCounter(
            1e-6,
            int(range_uj) + 1 if range_uj.isdecimal() and int(range_uj) else None,
            max_power_w=MAX_POWER_W,
            period_s=PERIOD_S,
        )
        domains.setdefault(name, _Domain(name, Attribute(files, energy), counter))
    return tuple(domains.values())
