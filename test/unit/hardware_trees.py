"""File trees that stand for machines: their sysfs as the boards' kernels lay it out.

Plain files and relative symbolic links: nothing reacts. What each layout is taken from stands with
its builder. Layouts shared by several:

* devfreq: kernel.org/doc/Documentation/ABI/testing/sysfs-class-devfreq; ``device/of_node/name`` and
  the names of the nodes as github.com/rbonghi/jetson_stats (jtop/core/gpu.py, hw_detect.py) reads
  them.
* INA3221 up to JetPack 4: NVIDIA's own driver ``ina3221x`` with an IIO device (rail_name_N,
  in_voltageN_input [mV], in_currentN_input [mA], in_powerN_input [mW]); from JetPack 5 on the
  mainline hwmon driver (kernel.org/doc/Documentation/hwmon/ina3221.rst: inN_label, inN_input [mV],
  currN_input [mA], in7_label "sum of shunt voltages").
* Temperatures: /sys/class/thermal/thermal_zoneN/{type,temp} [0.001 deg C].
* Over-current events: hwmon ``soctherm_oc`` of /sys/devices/platform/soctherm-oc-event with
  ocN_event_cnt (cumulative) and ocN_throt_en, NVIDIA's Jetson Linux guide r36 "Over-current
  throttling"; oc1 under-voltage, oc2 average, oc3 instantaneous over-current.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from hardware_tree_parts import (
    Tree,
    cpufreq_policy,
    devfreq,
    hwmon,
    hwmon_ina3221,
    iio_ina3221,
    soctherm,
    thermal_zones,
)

MHZ = 1_000_000
# Last of a board's names in /proc/device-tree/compatible, Linux arch/arm64/boot/dts/nvidia.
CHIPS = {
    'nano': 'tegra210', 'tx2': 'tegra186', 'agx_xavier': 'tegra194', 'agx_orin': 'tegra234',
    'orin_nano': 'tegra234', 'thor': 'tegra264',
}  # fmt: skip
GOVERNORS = ('nvhost_podgov', 'userspace', 'performance', 'simple_ondemand')

Build = Callable[[Path], Tree]


def nano(root: Path) -> Tree:
    """Jetson Nano, JetPack 4 (L4T 32), 10 W.

    devfreq 57000000.gpu under /sys/devices/gpu.0 (jetson_stats tests/nvpmodel); rails of 6-0040:
    NVIDIA's L4T 32 guide, "Software-Based Power Consumption Modeling", Jetson Nano.
    """
    levels = _mhz(76.8 * step for step in range(1, 13))
    tree = _jetson(
        'nano', root, 'NVIDIA Jetson Nano Developer Kit',
        node='57000000.gpu', parent='/sys/devices/gpu.0', of_name='gpu', levels=levels,
        zones=('AO-therm', 'CPU-therm', 'GPU-therm', 'PLL-therm', 'PMIC-Die', 'thermal-fan-est'),
        cpu=(102000, 518400, 1036800, 1479000), policies=(0,),
    )  # fmt: skip
    iio_ina3221(tree, '6-0040', 0, ('POM_5V_IN', 'POM_5V_GPU', 'POM_5V_CPU'), (3280, 180, 720))
    return tree


def tx2(root: Path) -> Tree:
    """Jetson TX2 developer kit, JetPack 4 (L4T 32.7).

    Rails of 0-0040 to 0-0043: NVIDIA's L4T 32.7.5 guide, "Power Management for Jetson TX2 Series".
    """
    levels = _mhz(
        (114.75, 216.75, 318.75, 420.75, 522.75, 624.75, 726.75, 854.25, 930.75, 1032.75, 1122,
         1236.75, 1300.5)
    )  # fmt: skip
    tree = _jetson(
        'tx2', root, 'quill',
        node='17000000.gp10b', parent='/sys/devices/17000000.gp10b', of_name='gp10b',
        levels=levels, cpu=(345600, 960000, 1420800, 2035200), policies=(0, 1),
        zones=('BCPU-therm', 'MCPU-therm', 'GPU-therm', 'PLL-therm', 'AO-therm', 'Tboard_tegra',
               'Tdiode_tegra', 'PMIC-Die', 'thermal-fan-est'),
    )  # fmt: skip
    iio_ina3221(tree, '0-0040', 0, ('VDD_SYS_GPU', 'VDD_SYS_SOC', 'VDD_4V0_WIFI'), (1220, 915, 38))
    iio_ina3221(tree, '0-0041', 1, ('VDD_IN', 'VDD_SYS_CPU', 'VDD_SYS_DDR'), (7150, 1680, 1204))
    iio_ina3221(tree, '0-0042', 2, ('VDD_MUX', 'VDD_5V0_IO_SYS', 'VDD_3V3_SYS'), (7600, 1900, 640))
    iio_ina3221(tree, '0-0043', 3, ('VDD_3V3_IO_SLP', 'VDD_1V8_IO', 'VDD_3V3_SYS_M2'), (20, 110, 6))
    return tree


def agx_xavier(root: Path) -> Tree:
    """Jetson AGX Xavier, JetPack 4 (L4T 32.7).

    Rails of 1-0040 and 1-0041: NVIDIA's L4T 32.7.5 guide, "Power Management for Jetson Xavier NX
    Series and Jetson AGX Xavier Series Devices". There is no rail of the whole board.
    """
    tree = _agx_xavier('agx_xavier', root)
    iio_ina3221(tree, '1-0040', 0, ('GPU', 'CPU', 'SOC'), (1540, 1230, 2160))
    iio_ina3221(tree, '1-0041', 1, ('CV', 'VDDRQ', 'SYS5V'), (0, 770, 2490))
    return tree


def agx_xavier_jetpack5(root: Path) -> Tree:
    """Jetson AGX Xavier, JetPack 5 (L4T 35): the same rails by the mainline driver."""
    tree = _agx_xavier('agx_xavier_jetpack5', root)
    hwmon_ina3221(tree, '/sys/devices/c240000.i2c', '1-0040', 2, ('GPU', 'CPU', 'SOC'),
                   ((19104, 80), (19104, 64), (19104, 113)))  # fmt: skip
    hwmon_ina3221(tree, '/sys/devices/c240000.i2c', '1-0041', 3, ('CV', 'VDDRQ', 'SYS5V'),
                   ((19104, 0), (19104, 40), (19104, 130)))  # fmt: skip
    return tree


def agx_orin_jetpack5(root: Path) -> Tree:
    """Jetson AGX Orin, JetPack 5 (L4T 35): GPU node 17000000.ga10b."""
    return _agx_orin(
        'agx_orin_jetpack5', root,
        node='17000000.ga10b', parent='/sys/devices/17000000.ga10b', of_name='ga10b',
        zones=('CPU-therm', 'GPU-therm', 'CV0-therm', 'CV1-therm', 'CV2-therm', 'SOC0-therm',
               'SOC1-therm', 'SOC2-therm', 'tj-therm'),
    )  # fmt: skip


def agx_orin(root: Path) -> Tree:
    """Jetson AGX Orin, JetPack 6 (L4T 36): GPU node 17000000.gpu, zones named after mainline.

    Rails of 1-0040 and 1-0041: Jetson Linux guide r36, "Jetson Orin Nano Series, Jetson Orin NX
    Series and Jetson AGX Orin Series", Power monitors. There is no rail of the whole board.
    """
    return _agx_orin(
        'agx_orin', root,
        node='17000000.gpu', parent='/sys/devices/platform/bus@0/17000000.gpu', of_name='gpu',
        zones=ORIN_ZONES,
    )  # fmt: skip


def orin_nano(root: Path) -> Tree:
    """Jetson Orin Nano, JetPack 6 (L4T 36), 15 W.

    Rails of 1-0040 and its i2c path: Jetson Linux guide r36 as for AGX Orin, and listings of
    running boards.
    """
    tree = _jetson(
        'orin_nano', root, 'NVIDIA Jetson Orin Nano Developer Kit',
        node='17000000.gpu', parent='/sys/devices/platform/bus@0/17000000.gpu', of_name='gpu',
        levels=_mhz((306, 408, 510, 612, 624.75)), zones=ORIN_ZONES,
        cpu=(115200, 729600, 1113600, 1510400), policies=(0, 4),
    )  # fmt: skip
    hwmon_ina3221(
        tree, '/sys/devices/platform/bus@0/c240000.i2c', '1-0040', 1,
        ('VDD_IN', 'VDD_CPU_GPU_CV', 'VDD_SOC'), ((4984, 1856), (4984, 520), (4984, 288)),
    )  # fmt: skip
    soctherm(tree, 3)
    return tree


def thor(root: Path) -> Tree:
    """Jetson AGX Thor, JetPack 7 (L4T 38).

    The GPU is a PCIe device with two clock domains: gpu-gpc-0 (graphics and compute, 315 to
    1575 MHz) and gpu-nvd-0 (the video engines, to 1692 MHz); levels between them are ours, as no
    listing was found. INA3221 at 2-0040 with VDD_GPU, VDD_CPU_SOC_MSS and VIN_SYS_5V0, and an
    INA238 (kernel.org/doc/Documentation/hwmon/ina238.rst) with the board's input, named by the
    file ``label``; its address is ours. Zones: listings of running boards; all trip at 114.5.
    """
    levels = _mhz((315, 510, 705, 900, 1095, 1305, 1500, 1575))
    gpu = '/sys/devices/platform/bus@0/pci0000:00/0000:00:00.0/0000:01:00.0'
    tree = _jetson(
        'thor', root, 'NVIDIA Jetson AGX Thor Developer Kit',
        node='gpu-gpc-0', parent=gpu, of_name='', levels=levels, critical=114500,
        zones=('cpu-thermal', 'gpu-thermal', 'soc012-thermal', 'soc345-thermal', 'tj-thermal'),
        cpu=(972000, 1566000, 2106000, 2601000), policies=(0, 2, 4, 6, 8, 10, 12),
    )  # fmt: skip
    devfreq(tree, 'gpu-nvd-0', gpu, _mhz((315, 900, 1305, 1692)), GOVERNORS)
    bus = '/sys/devices/platform/bus@0/810c640000.i2c'
    hwmon_ina3221(
        tree, bus, '2-0040', 4, ('VDD_GPU', 'VDD_CPU_SOC_MSS', 'VIN_SYS_5V0'),
        ((11800, 505), (11800, 552), (5000, 1304)),
    )  # fmt: skip
    folder = hwmon(tree, bus, '2-0044', 5, 'ina238')
    for name, value in (
        ('label', 'VIN'), ('in0_input', 4), ('in1_input', 19800), ('curr1_input', 1080),
        ('power1_input', 21_384_000),
    ):  # fmt: skip
        tree.write(f'{folder}/{name}', value)
    return tree


def pc(root: Path, driver: str = 'acpi-cpufreq') -> Tree:
    """A notebook: RAPL, a battery, one cpufreq policy for each of 4 CPUs, no GPU to set.

    RAPL: kernel.org/doc/Documentation/power/powercap/powercap.rst (energy_uj [1e-6 J], readable by
    root only since CVE-2020-8694, which a plain file cannot show). Battery:
    kernel.org/doc/Documentation/ABI/testing/sysfs-class-power [1e-6 V, A, Wh]. A driver without a
    table (intel_pstate, amd-pstate, cppc_cpufreq) has no scaling_available_frequencies.
    """
    tree = Tree('pc', root)
    tree.write('/proc/sys/kernel/random/boot_id', 'c0ffee00-0000-4000-8000-000000000001')
    for cpu in range(4):
        cpufreq_policy(tree, cpu, (800000, 1200000, 1800000, 2400000), driver=driver, cpus=(cpu,))
    zone = '/sys/devices/virtual/powercap/intel-rapl'
    tree.write(f'{zone}/enabled', 1)
    tree.link('/sys/class/powercap/intel-rapl', zone)
    for name, parent, label, energy_uj in (
        ('intel-rapl:0', zone, 'package-0', 52_816_433_000),
        ('intel-rapl:0:0', f'{zone}/intel-rapl:0', 'core', 21_409_811_000),
        ('intel-rapl:0:1', f'{zone}/intel-rapl:0', 'uncore', 1_893_212_000),
        ('intel-rapl:0:2', f'{zone}/intel-rapl:0', 'dram', 4_208_166_000),
    ):
        tree.write(f'{parent}/{name}/name', label)
        tree.write(f'{parent}/{name}/energy_uj', energy_uj)
        tree.write(f'{parent}/{name}/max_energy_range_uj', 262_143_328_850)
        tree.link(f'/sys/class/powercap/{name}', f'{parent}/{name}')
    supplies = '/sys/devices/LNXSYSTM:00/LNXSYBUS:00/PNP0C0A:00/power_supply'
    for name, value in (
        ('type', 'Battery'), ('status', 'Discharging'), ('present', 1),
        ('voltage_now', 11_832_000), ('current_now', 1_250_000), ('capacity', 78),
    ):  # fmt: skip
        tree.write(f'{supplies}/BAT0/{name}', value)
    tree.write(f'{supplies}/AC/type', 'Mains')
    tree.write(f'{supplies}/AC/online', 0)
    for supply in ('BAT0', 'AC'):
        tree.link(f'/sys/class/power_supply/{supply}', f'{supplies}/{supply}')
    thermal_zones(tree, ('acpitz', 'x86_pkg_temp'), 105000)
    return tree


def cpu_board(root: Path) -> Tree:
    """Raspberry Pi 4: inference on the CPU, one policy of all 4 CPUs in steps of 100 MHz.

    Linux drivers/cpufreq/raspberrypi-cpufreq.c makes the steps, cpufreq-dt the policy.
    """
    tree = Tree('cpu_board', root)
    tree.write('/proc/device-tree/model', 'Raspberry Pi 4 Model B Rev 1.4')
    tree.write('/proc/sys/kernel/random/boot_id', 'c0ffee00-0000-4000-8000-000000000001')
    cpufreq_policy(tree, 0, range(600000, 1800001, 100000), driver='cpufreq-dt', cpus=range(4))
    thermal_zones(tree, ('cpu-thermal',), 110000)
    return tree


def bare(root: Path) -> Tree:
    """A machine with nothing to set or measure, as most virtual ones."""
    (root / 'sys/class').mkdir(parents=True)
    return Tree('bare', root)


JETSONS: Mapping[str, Build] = {
    build.__name__: build
    for build in (
        nano, tx2, agx_xavier, agx_xavier_jetpack5, agx_orin_jetpack5, agx_orin, orin_nano, thor
    )
}  # fmt: skip
TREES: Mapping[str, Build] = {**JETSONS, 'pc': pc, 'cpu_board': cpu_board, 'bare': bare}

ORIN_ZONES = (
    'cpu-thermal', 'gpu-thermal', 'cv0-thermal', 'cv1-thermal', 'cv2-thermal', 'soc0-thermal',
    'soc1-thermal', 'soc2-thermal', 'tj-thermal',
)  # fmt: skip


def _mhz(values: Iterable[float]) -> tuple[int, ...]:
    return tuple(round(value * MHZ) for value in values)


def _agx_xavier(name: str, root: Path) -> Tree:
    levels = _mhz(
        (114.75, 216.75, 318.75, 420.75, 522.75, 624.75, 675.75, 828.75, 905.25, 1032.75, 1198.5,
         1236.75, 1338.75, 1377)
    )  # fmt: skip
    return _jetson(
        name, root, 'Jetson-AGX',
        node='17000000.gv11b', parent='/sys/devices/17000000.gv11b', of_name='gv11b',
        levels=levels, cpu=(115200, 729600, 1420800, 2265600), policies=(0, 2, 4, 6),
        zones=('CPU-therm', 'GPU-therm', 'AUX-therm', 'AO-therm', 'PMIC-Die', 'Tboard_tegra',
               'Tdiode_tegra', 'thermal-fan-est'),
    )  # fmt: skip


def _agx_orin(
    name: str, root: Path, *, node: str, parent: str, of_name: str, zones: Sequence[str]
) -> Tree:
    tree = _jetson(
        name, root, 'NVIDIA Jetson AGX Orin Developer Kit', node=node, parent=parent,
        of_name=of_name, zones=zones, cpu=(115200, 729600, 1420800, 2201600), policies=(0, 4, 8),
        levels=_mhz((306, 408, 510, 612, 714, 816, 918, 1020, 1122, 1224, 1300.5)),
    )  # fmt: skip
    bus = '/sys/devices/platform/bus@0/c240000.i2c'
    hwmon_ina3221(
        tree, bus, '1-0040', 3, ('VDD_GPU_SOC', 'VDD_CPU_CV', 'VIN_SYS_5V0'),
        ((19800, 161), (19800, 60), (4992, 880)),
    )  # fmt: skip
    hwmon_ina3221(
        tree, bus, '1-0041', 4, ('NC', 'VDDQ_VDD2_1V8AO', 'NC'),
        ((0, 0), (4992, 240), (0, 0)),
    )  # fmt: skip
    soctherm(tree, 5)
    return tree


def _jetson(
    name: str, root: Path, model: str, *, node: str, parent: str, of_name: str,
    levels: tuple[int, ...], zones: Sequence[str], cpu: Sequence[int], policies: Sequence[int],
    critical: int = 104500,
) -> Tree:  # fmt: skip
    index = next(at for at, zone in enumerate(zones) if zone.lower().startswith('gpu'))
    tree = Tree(
        name, root, f'/sys/class/devfreq/{node}', levels,
        f'/sys/class/thermal/thermal_zone{index}/temp',
    )  # fmt: skip
    tree.write('/proc/device-tree/model', model)
    (chip,) = {chip for board, chip in CHIPS.items() if name.startswith(board)}
    tree.write('/proc/device-tree/compatible', f'nvidia,{name}\0nvidia,{chip}\0')
    tree.write('/proc/sys/kernel/random/boot_id', 'c0ffee00-0000-4000-8000-000000000001')
    if of_name:
        tree.write(f'{parent}/of_node/name', of_name)
    tree.write(f'{parent}/load', 0)
    devfreq(tree, node, parent, levels, GOVERNORS)
    # what shares the class with a GPU and is none
    devfreq(tree, '15480000.nvdec', '/sys/devices/13e00000.host1x/15480000.nvdec',
             _mhz((268.8, 998.4)), ('wmark_active', 'userspace', 'performance'))  # fmt: skip
    devfreq(tree, 'bwmgr', '/sys/devices/platform/bwmgr', _mhz((204, 1600)), ('userspace',))
    for at, policy in enumerate(policies):
        width = 6 if name == 'tx2' else 2
        cpufreq_policy(
            tree, policy, cpu, driver='tegra-cpufreq', cpus=range(at * width, (at + 1) * width)
        )
    thermal_zones(tree, zones, critical)
    return tree
