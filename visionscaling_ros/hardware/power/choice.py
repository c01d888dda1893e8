"""The power meter of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.bounded_call import call_within
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.power.battery_meter import BatteryMeter
from visionscaling_ros.hardware.power.ina3221_meter import Ina3221Meter
from visionscaling_ros.hardware.power.nvml_meter import NvmlMeter
from visionscaling_ros.hardware.power.power_meter import PowerMeter
from visionscaling_ros.hardware.power.rapl_meter import RaplMeter

METERS = ('auto', 'ina3221', 'nvml', 'rapl', 'battery', 'model')
ANSWER_S = 5.0  # longest wait for a device that hangs


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
    backend: str,
    *,
    files: DeviceFiles,
    device: str = '',
    model_meter: PowerMeter,
    pass_over: Mapping[str, str] = MappingProxyType({}),
) -> MeterChoice:
    """Open the meter asked for; ``auto`` is the first of METERS whose total can be read here.

    A meter that is asked for by name and is not there is an error: a model in its place would be
    taken for a measurement. Raises InvalidValueError for a backend there is not, HardwareError for
    a meter that cannot be read.

    :param files: the machine; one that is not this one's own root has no NVML of its own.
    :param device: which card, by index or UUID, for ``nvml``; empty: the first.
    :param model_meter: what calculates where nothing can be measured.
    :param pass_over: meters that ``auto`` does not take, each with why.
    """
    if backend not in METERS:
        raise InvalidValueError('power_backend', backend, ', '.join(METERS))
    if backend != 'auto':
        return _chosen(_open(backend, files, device, model_meter), 'asked for', ())
    reasons = dict(pass_over)
    if files.root != Path('/'):
        reasons['nvml'] = f"not asked, since {files.root} stands for another machine's /"
    rejected: list[str] = []
    for name in METERS[1:-1]:
        if name in reasons:
            rejected.append(f'{name}: {reasons[name]}')
            continue
        open_read = partial(_open_read, name, files, device, model_meter)
        try:
            meter = call_within(ANSWER_S, 'the first reading', open_read)
        except HardwareError as error:
            rejected.append(f'{name}: {error}')
        else:
            return _chosen(meter, 'the first that can be read here', tuple(rejected))
    return _chosen(model_meter, 'nothing measures here', tuple(rejected))


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


def _open_read(name: str, files: DeviceFiles, device: str, model_meter: PowerMeter) -> PowerMeter:
    """Open it and read it once; raises HardwareError unless all of its total can be read."""
    meter = _open(name, files, device, model_meter)
    try:
        sample = meter.read()
        unread = set(meter.total_rails) - sample.power_w.keys() - sample.energy_j.keys()
        if unread:
            raise HardwareError(  # noqa: TRY301 closed as after one of the meter's own
                '; '.join(sample.trouble[rail] for rail in sorted(unread))
            )
    except HardwareError:
        meter.close()
        raise
    return meter


def _chosen(meter: PowerMeter, reason: str, rejected: tuple[str, ...]) -> MeterChoice:
    why = f'{meter.name} ({meter.device}), {reason}; it covers {meter.covers}'
    return MeterChoice(meter, why, rejected)
