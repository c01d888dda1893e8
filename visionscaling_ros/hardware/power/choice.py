"""The power meter of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.power.battery_meter import BatteryMeter
from visionscaling_ros.hardware.power.ina3221_meter import Ina3221Meter
from visionscaling_ros.hardware.power.nvml_meter import NvmlMeter
from visionscaling_ros.hardware.power.power_meter import PowerMeter, Scope
from visionscaling_ros.hardware.power.rapl_meter import RaplMeter

METERS = ('auto', 'ina3221', 'nvml', 'rapl', 'battery', 'model')
COVERS = {
    Scope.BOARD: 'the whole computer',
    Scope.GPU: 'the graphics card alone',
    Scope.CPU: 'the processor alone',
    Scope.MODEL: 'nothing: it is calculated from clock and utilisation',
}


@dataclass(frozen=True)
class MeterChoice:
    """The meter to use.

    What a meter of the scopes GPU and CPU does not cover is ``power_base_w``, which whoever
    reports the robot's consumption adds; a board's meter has it all, and the model its own.

    :param why: why this one, and what it covers, in words.
    :param rejected: why not, for every meter that comes before it.
    """

    meter: PowerMeter
    why: str
    rejected: tuple[str, ...] = ()


def open_meter(
    backend: str, *, files: DeviceFiles, device: str = '', model_meter: PowerMeter
) -> MeterChoice:
    """Open the meter asked for; ``auto`` is the first of METERS that can be read on this machine.

    A meter that is asked for by name and is not there is an error: a model in its place would be
    taken for a measurement. Raises InvalidValueError for a backend there is not, HardwareError for
    a meter that cannot be read.

    :param files: the machine; one that is not this one's own root has no NVML of its own.
    :param device: which card, by index or UUID, for ``nvml``; empty: the first.
    :param model_meter: what calculates where nothing can be measured.
    """
    if backend not in METERS:
        raise InvalidValueError('power_backend', backend, ', '.join(METERS))
    if backend != 'auto':
        return _chosen(_open(backend, files, device, model_meter), 'asked for', ())
    rejected: list[str] = []
    for name in METERS[1:]:
        if name == 'nvml' and files.root != Path('/'):
            rejected.append(f"nvml: not asked, since {files.root} stands for another machine's /")
            continue
        try:
            meter = _open(name, files, device, model_meter)
            if name != 'battery' or _answers(meter):
                return _chosen(meter, 'the first that can be read here', tuple(rejected))
        except HardwareError as error:
            rejected.append(f'{name}: {error}')
    raise AssertionError('a model is always there')


def _open(name: str, files: DeviceFiles, device: str, model_meter: PowerMeter) -> PowerMeter:
    if name == 'ina3221':
        return Ina3221Meter(files)
    if name == 'nvml':
        return NvmlMeter(device)
    if name == 'rapl':
        return RaplMeter(files)
    if name == 'battery':
        return BatteryMeter(files)
    return model_meter


def _answers(battery: PowerMeter) -> bool:
    """Whether it is discharged; raises HardwareError, saying so, when it is not."""
    try:
        battery.read()
    except HardwareError:
        battery.close()
        raise
    return True


def _chosen(meter: PowerMeter, reason: str, rejected: tuple[str, ...]) -> MeterChoice:
    why = f'{meter.name} ({meter.device}), {reason}; it covers {COVERS[meter.scope]}'
    return MeterChoice(meter, why, rejected)
