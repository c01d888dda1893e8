"""Looks at everything of a machine that can be set and measured, and changes nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

from visionscaling_ros.cli.hardware_findings import (
    DIRECTLY,
    NOT,
    THROUGH_HELPER,
    Chosen,
    FoundClock,
    FoundHelper,
    FoundMeter,
    FoundThermometer,
    Inventory,
)
from visionscaling_ros.datatypes import NOMINAL_FREQUENCY_HZ
from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.card_names import named_card
from visionscaling_ros.hardware.clockd.clockd_gpu_clock import ClockdGpuClock
from visionscaling_ros.hardware.clockd.helper_link import HelperLink
from visionscaling_ros.hardware.clocks.choice import open_clock
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import find_gpus
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.machine_model import machine_model
from visionscaling_ros.hardware.nvml_session import NvmlSession
from visionscaling_ros.hardware.power.choice import METERS, open_meter
from visionscaling_ros.hardware.power.gpu_power_model import EnergyMeter, GpuPowerModel
from visionscaling_ros.hardware.power.model_meter import ModelMeter
from visionscaling_ros.hardware.power.power_meter import PowerMeter
from visionscaling_ros.hardware.thermal.choice import open_thermometer

MEASURED = tuple(name for name in METERS if name not in ('auto', 'model'))
SECOND_READING_S = 0.2  # what counts energy tells power at the second reading
MAX_CARDS = 64
NOT_ASKED = 'not asked: the tree stands for another machine'


def take_inventory(
    files: DeviceFiles, *, backend: str = 'auto', device: str = '', helper_socket: str = ''
) -> Inventory:
    """Look at everything and change nothing.

    Raises InvalidValueError for a backend there is not, HardwareError for one that was asked for
    by name and is not there.

    :param device: which, where there are several; as the node's parameter.
    :param helper_socket: '' without one.
    """
    absent: dict[str, str] = {}
    clocks = tuple(_clocks(files, helper_socket, absent))
    meters = tuple(_measure(meter) for meter in _meters(files, named_card(device), absent))
    chosen = open_clock(backend, files=files, device=device, helper_socket=helper_socket)
    card = named_card(device)
    meter = open_meter('auto', files=files, device=card, model_meter=_model())
    try:
        return Inventory(
            machine_model(files),
            str(files.root),
            clocks,
            meters,
            absent,
            _temperatures_c(files),
            _thermometer(chosen.clock, files, card),
            _helper(helper_socket) if helper_socket else None,
            Chosen(chosen.clock.name, chosen.clock.device, chosen.why, chosen.rejected),
            Chosen(meter.meter.name, meter.meter.device, meter.why, meter.rejected),
            bool(chosen.clock.available_frequencies_hz) and not chosen.clock.access(),
        )
    finally:
        meter.meter.close()


def _clocks(files: DeviceFiles, helper_socket: str, absent: dict[str, str]) -> Iterator[FoundClock]:
    """Every GPU and card, and the CPU."""
    candidates = [('jetson', gpu) for gpu in find_gpus(files) or ['']]
    if _is_this_machine(files):
        candidates += [('nvml', card) for card in _cards()]
    else:
        absent['nvml'] = NOT_ASKED
    for backend, device in (*candidates, ('cpufreq', '')):
        try:
            yield _describe(backend, device, files, helper_socket)
        except HardwareError as error:
            absent[f'{backend} {device}'.strip()] = str(error)


def _cards() -> list[str]:
    """Devices of nvml: the first, there or not, and those after it by index."""
    cards = ['']
    for index in map(str, range(1, MAX_CARDS)):
        try:
            NvmlSession(index).close()
        except HardwareError:
            break
        cards.append(index)
    return cards


def _describe(backend: str, device: str, files: DeviceFiles, helper_socket: str) -> FoundClock:
    clock = open_clock(backend, files=files, device=device, helper_socket=helper_socket).clock
    advice = clock.access()
    through_helper = isinstance(clock, ClockdGpuClock)
    return FoundClock(
        clock.name,
        clock.device,
        clock.available_frequencies_hz,
        _number(clock.frequency_hz()),
        clock.limits_hz(),
        ', '.join(sorted({v for k, v in clock.state().items() if k.endswith('governor')})),
        NOT if advice else THROUGH_HELPER if through_helper else DIRECTLY,
        advice,
    )


def _meters(files: DeviceFiles, card: str, absent: dict[str, str]) -> Iterator[PowerMeter]:
    for name in MEASURED:
        if name == 'nvml' and not _is_this_machine(files):
            absent[f'power {name}'] = NOT_ASKED
            continue
        try:
            meter = open_meter(name, files=files, device=card, model_meter=_model()).meter
        except HardwareError as error:
            absent[f'power {name}'] = str(error)
            continue
        with meter:
            yield meter


def _measure(meter: PowerMeter) -> FoundMeter:
    power_w: dict[str, float | None] = dict.fromkeys(meter.rails)
    for wait_s in (0.0, SECOND_READING_S):
        time.sleep(wait_s)
        try:
            power_w |= meter.read().power_w
        except HardwareError:
            continue
        if None not in power_w.values():
            break
    return FoundMeter(
        meter.name,
        meter.device,
        meter.scope.value,
        meter.covers,
        meter.period_s,
        power_w,
        meter.total_rails,
    )


def _is_this_machine(files: DeviceFiles) -> bool:
    return files.root == Path('/')


def _helper(socket: str) -> FoundHelper:
    link = HelperLink(Path(socket))
    try:
        version = link.ask(op='hello')['version']
        served = link.ask(op='devices')['devices']
        devices = tuple(f'{device["backend"]} {device["device"]}' for device in served)
        return FoundHelper(socket, f'{version:g}', devices, '')
    except HardwareError as error:
        return FoundHelper(socket, '', (), str(error))
    except (KeyError, TypeError, ValueError):
        return FoundHelper(socket, '', (), f'what listens at {socket} speaks another protocol')
    finally:
        link.close()


def _temperatures_c(files: DeviceFiles) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for path in files.find('/sys/class/thermal/thermal_zone*/type'):
        zone = path.removesuffix('/type')
        try:
            name = files.read(path)
        except OSError:
            continue
        try:
            found[name] = 1e-3 * float(files.read(f'{zone}/temp'))
        except (OSError, ValueError):
            found[name] = None
    return found


def _model() -> PowerMeter:
    """Where nothing can be measured, nothing is told here either: its figures are not read."""
    model = EnergyMeter(GpuPowerModel(0.0, 0.0), frequency_hz=NOMINAL_FREQUENCY_HZ)
    return ModelMeter(model)


def _thermometer(clock: GpuClock, files: DeviceFiles, card: str) -> FoundThermometer | None:
    try:
        thermometer = open_thermometer(clock, files, card)
    except HardwareError:
        return None
    if thermometer is None:
        return None
    try:
        return FoundThermometer(thermometer.device, _number(thermometer.read_c()))
    finally:
        thermometer.close()


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
