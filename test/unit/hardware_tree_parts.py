"""What the file trees of test/unit/hardware_trees.py are put together from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from visionscaling_ros.hardware.device_files import DeviceFiles


@dataclass(frozen=True)
class Tree:
    """A machine in a folder.

    :param gpu: its GPU's devfreq node; empty without one.
    :param levels_hz: what the GPU's clock can be set to at the start.
    :param gpu_temperature: the attribute with the GPU's temperature [0.001 deg C]; empty without.
    """

    name: str
    root: Path
    gpu: str = ''
    levels_hz: tuple[int, ...] = ()
    gpu_temperature: str = ''

    @property
    def files(self) -> DeviceFiles:
        return DeviceFiles(self.root)

    def read(self, path: str) -> str:
        return (self.root / path.lstrip('/')).read_text().strip()

    def write(self, path: str, text: object) -> None:
        """Make or change an attribute, with its folders."""
        file = self.root / path.lstrip('/')
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'{text}\n')

    def remove(self, path: str) -> None:
        """Take away an attribute, a link or a folder with all that is in it."""
        file = self.root / path.lstrip('/')
        if file.is_dir() and not file.is_symlink():
            shutil.rmtree(file)
        else:
            file.unlink()

    def link(self, path: str, to: str) -> None:
        """Make a relative symbolic link, both named as the machine names them."""
        link = self.root / path.lstrip('/')
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(self.root / to.lstrip('/'), link.parent))

    def contents(self) -> dict[str, str]:
        """All attributes with what they hold, by path; links are not followed."""
        return {
            f'/{file.relative_to(self.root)}': file.read_text()
            for file in sorted(self.root.rglob('*'))
            if file.is_file() and not file.is_symlink()
        }


def devfreq(
    tree: Tree, node: str, parent: str, levels: Sequence[int], governors: Sequence[str]
) -> None:
    folder = f'{parent}/devfreq/{node}'
    for name, value in (
        ('available_frequencies', ' '.join(map(str, levels))),
        ('available_governors', ' '.join(governors)),
        ('cur_freq', levels[0]),
        ('governor', governors[0]),
        ('max_freq', levels[-1]),
        ('min_freq', levels[0]),
        ('polling_interval', 25),
        ('target_freq', levels[0]),
    ):
        tree.write(f'{folder}/{name}', value)
    tree.link(f'{folder}/device', parent)
    tree.link(f'/sys/class/devfreq/{node}', folder)


def cpufreq_policy(
    tree: Tree, number: int, levels_khz: Sequence[int], *, driver: str, cpus: Sequence[int]
) -> None:
    """kernel.org/doc/Documentation/admin-guide/pm/cpufreq.rst; frequencies in kHz."""
    folder = f'/sys/devices/system/cpu/cpufreq/policy{number}'
    low, high = levels_khz[0], levels_khz[-1]
    tabled = driver not in ('intel_pstate', 'amd-pstate', 'amd-pstate-epp', 'cppc_cpufreq')
    for name, value in (
        ('affected_cpus', ' '.join(map(str, cpus))),
        ('cpuinfo_max_freq', high),
        ('cpuinfo_min_freq', low),
        ('related_cpus', ' '.join(map(str, cpus))),
        ('scaling_available_governors',
         'performance powersave schedutil' if tabled else 'performance powersave'),
        ('scaling_cur_freq', low),
        ('scaling_driver', driver),
        ('scaling_governor', 'schedutil' if tabled else 'powersave'),
        ('scaling_max_freq', high),
        ('scaling_min_freq', low),
    ):  # fmt: skip
        tree.write(f'{folder}/{name}', value)
    if tabled:  # acpi-cpufreq lists its highest first
        listed = reversed(levels_khz) if driver == 'acpi-cpufreq' else levels_khz
        tree.write(f'{folder}/scaling_available_frequencies', ' '.join(map(str, listed)))


def thermal_zones(tree: Tree, zones: Sequence[str], critical: int) -> None:
    for index, zone in enumerate(zones):
        folder = f'/sys/devices/virtual/thermal/thermal_zone{index}'
        tree.write(f'{folder}/type', zone)
        tree.write(f'{folder}/temp', 100000 if zone == 'PMIC-Die' else 41500 + 250 * index)
        tree.write(f'{folder}/trip_point_0_type', 'critical')
        tree.write(f'{folder}/trip_point_0_temp', critical)
        tree.link(f'/sys/class/thermal/thermal_zone{index}', folder)


def iio_ina3221(
    tree: Tree, chip: str, number: int, rails: Sequence[str], power_mw: Sequence[int]
) -> None:
    device = f'/sys/devices/c240000.i2c/i2c-{chip[0]}/{chip}'
    folder = f'{device}/iio:device{number}'
    tree.write(f'{device}/name', 'ina3221x')
    for channel, (rail, mw) in enumerate(zip(rails, power_mw, strict=True)):
        mv = 19104 if 'IN' in rail.split('_') else 4792
        tree.write(f'{folder}/rail_name_{channel}', rail)
        tree.write(f'{folder}/in_voltage{channel}_input', mv)
        tree.write(f'{folder}/in_current{channel}_input', round(1000 * mw / mv))
        tree.write(f'{folder}/in_power{channel}_input', mw)
    tree.link(f'/sys/bus/i2c/drivers/ina3221x/{chip}', device)
    tree.link(f'/sys/bus/i2c/devices/{chip}', device)


def hwmon(tree: Tree, bus: str, chip: str, number: int, driver: str) -> str:
    device = f'{bus}/i2c-{chip[0]}/{chip}'
    folder = f'{device}/hwmon/hwmon{number}'
    tree.write(f'{device}/name', driver)
    tree.write(f'{folder}/name', driver)
    tree.link(f'{folder}/device', device)
    tree.link(f'/sys/bus/i2c/drivers/{driver}/{chip}', device)
    tree.link(f'/sys/bus/i2c/devices/{chip}', device)
    tree.link(f'/sys/class/hwmon/hwmon{number}', folder)
    return folder


def hwmon_ina3221(
    tree: Tree, bus: str, chip: str, number: int, rails: Sequence[str],
    mv_ma: Sequence[tuple[int, int]],
) -> None:  # fmt: skip
    folder = hwmon(tree, bus, chip, number, 'ina3221')
    for channel, (rail, (mv, ma)) in enumerate(zip(rails, mv_ma, strict=True), 1):
        tree.write(f'{folder}/in{channel}_label', rail)
        tree.write(f'{folder}/in{channel}_input', mv)
        tree.write(f'{folder}/in{channel}_enable', 1)
        tree.write(f'{folder}/curr{channel}_input', ma)
        tree.write(f'{folder}/curr{channel}_max_alarm', 0)
        tree.write(f'{folder}/curr{channel}_crit_alarm', 0)
        tree.write(f'{folder}/in{channel + 3}_input', 4 * ma)  # the shunt's voltage [1e-6 V]
    tree.write(f'{folder}/in7_label', 'sum of shunt voltages')
    tree.write(f'{folder}/in7_input', sum(4 * ma for _, ma in mv_ma))
    tree.write(f'{folder}/curr4_input', sum(ma for _, ma in mv_ma))


def soctherm(tree: Tree, number: int) -> None:
    folder = f'/sys/devices/platform/soctherm-oc-event/hwmon/hwmon{number}'
    tree.write(f'{folder}/name', 'soctherm_oc')
    for event in (1, 2, 3):
        tree.write(f'{folder}/oc{event}_event_cnt', 0)
        tree.write(f'{folder}/oc{event}_throt_en', 1)
    tree.link(f'/sys/class/hwmon/hwmon{number}', folder)
