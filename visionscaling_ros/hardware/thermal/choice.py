"""Which sensors and which reasons for slowing down belong to a clock."""

from __future__ import annotations

import re
from collections.abc import Iterator

from visionscaling_ros.hardware.clocks import cpufreq_gpu_clock, devfreq_gpu_clock
from visionscaling_ros.hardware.clocks.cooling import cooling_devices
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.thermal.board_throttle import (
    BoardThrottle,
    FileThrottle,
    NoBoardThrottle,
    NvmlBoardThrottle,
    ThrottleFile,
)
from visionscaling_ros.hardware.thermal.thermometer import (
    FileThermometer,
    NvmlThermometer,
    Thermometer,
)
from visionscaling_ros.hardware.thermal.throttle import Throttle

# Types of thermal zones: GPU-therm (JetPack 4 and 5), gpu-thermal (JetPack 6 and 7, mainline).
GPU_ZONES = re.compile(r'gpu', re.IGNORECASE)
# CPU-therm, BCPU-therm and MCPU-therm (TX2), cpu-thermal, cpu_thermal (Raspberry Pi),
# x86_pkg_temp (drivers/thermal/intel/x86_pkg_temp_thermal.c), bigcore0-thermal (RK3588).
CPU_ZONES = re.compile(r'[bm]?cpu|x86_pkg_temp|(big|little)core', re.IGNORECASE)
# The hottest spot of a Jetson's chip, and what boards have that name no core.
OTHER_ZONES = re.compile(r'tj\b|soc|acpitz', re.IGNORECASE)
# Processors whose temperature is no thermal zone (Documentation/hwmon/{coretemp,k10temp}.rst).
CPU_CHIPS = ('coretemp', 'k10temp', 'zenpower')
# NVIDIA's Jetson Linux guide, "Over-current throttling" (Orin, Thor).
OVER_CURRENT = {
    'oc1_event_cnt': 'under-voltage (oc1)',
    'oc2_event_cnt': 'average over-current (oc2)',
    'oc3_event_cnt': 'instantaneous over-current (oc3)',
}
# Cooling devices of Jetsons that only tell.
JETSON_ALERTS = re.compile('gpu-throttle-alert|hot-surface-alert')
# drivers/thermal/intel/therm_throt.c: one counter a core and one a package.
CPU_COUNTERS = '/sys/devices/system/cpu/cpu*/thermal_throttle/*_throttle_count'


def open_thermometer(clock: GpuClock, files: DeviceFiles, device: str = '') -> Thermometer | None:
    """What tells how hot a clock's device is; None when nothing does. Raises HardwareError.

    A clock that exists in a file only has no temperature. Without a clock the GPU's is told all
    the same, where there is one.

    :param device: the card, for NVML.
    """
    if clock.name == 'emulated':
        return None
    if clock.name == 'nvml':
        return NvmlThermometer(device)
    others = list(_zones(files, OTHER_ZONES))
    if clock.name == 'cpufreq':
        sensors = [*_zones(files, CPU_ZONES), *_chips(files)]
    else:
        sensors = list(_zones(files, GPU_ZONES))
    if not sensors and (not others or clock.name == 'none'):
        return None
    return FileThermometer(files, sensors, others)


def open_board_throttle(clock: GpuClock, files: DeviceFiles, device: str = '') -> BoardThrottle:
    """What tells why a clock's device slows itself down. Raises HardwareError.

    :param device: the card, for NVML.
    """
    if clock.name == 'nvml':
        return NvmlBoardThrottle(device)
    if clock.name == 'jetson':
        kinds = devfreq_gpu_clock.cooling_kinds(clock.device)
        cooling = [*_cooling(files, kinds), *_cooling(files, JETSON_ALERTS)]
        return FileThrottle(files, [*_over_current(files), *cooling])
    if clock.name == 'cpufreq':
        kinds = cpufreq_gpu_clock.cooling_kinds(files, clock.device)
        return FileThrottle(files, [*_cpu_counters(files), *_cooling(files, kinds)])
    return NoBoardThrottle()


def _zones(files: DeviceFiles, kind: re.Pattern[str]) -> Iterator[str]:
    for path in files.find('/sys/class/thermal/thermal_zone*/type'):
        if kind.match(_text(files, path)):
            yield path.removesuffix('type') + 'temp'


def _chips(files: DeviceFiles) -> Iterator[str]:
    for path in files.find('/sys/class/hwmon/hwmon*/name'):
        if _text(files, path) in CPU_CHIPS:
            yield from files.find(path.removesuffix('name') + 'temp*_input')


def _over_current(files: DeviceFiles) -> Iterator[ThrottleFile]:
    for path in files.find('/sys/class/hwmon/hwmon*/oc[0-9]*_event_cnt'):
        name = path.rsplit('/', 1)[-1]
        words = OVER_CURRENT.get(name, f'over-current ({name})')
        yield ThrottleFile(path, Throttle.BOARD_POWER, words, counts=True)


def _cpu_counters(files: DeviceFiles) -> Iterator[ThrottleFile]:
    for path in files.find(CPU_COUNTERS):
        yield ThrottleFile(path, Throttle.BOARD_THERMAL, 'the processor is too hot', counts=True)


def _cooling(files: DeviceFiles, kinds: re.Pattern[str]) -> Iterator[ThrottleFile]:
    for device in cooling_devices(files, kinds):
        words = f'too hot ({device.kind})'
        yield ThrottleFile(device.state, Throttle.BOARD_THERMAL, words, counts=False)


def _text(files: DeviceFiles, path: str) -> str:
    try:
        return files.read(path)
    except OSError:
        return ''
