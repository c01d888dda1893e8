"""The power meter to measure with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from visionscaling_ros.datatypes import NOMINAL_FREQUENCY_HZ
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.power.choice import open_meter
from visionscaling_ros.hardware.power.gpu_power_model import EnergyMeter, GpuPowerModel
from visionscaling_ros.hardware.power.meter_sampler import MeterSampler
from visionscaling_ros.hardware.power.model_meter import ModelMeter as ModelSource
from visionscaling_ros.hardware.power.power_meter import Scope
from visionscaling_ros.profiling.clocks import card_of, runs_on_cpu
from visionscaling_ros.profiling.power_meter import ModelMeter, PowerMeter, SampledMeter


@contextmanager
def opened_meter(
    name: str, model: GpuPowerModel, clock: GpuClock, files: DeviceFiles, device: str
) -> Iterator[tuple[PowerMeter, str]]:
    """The meter asked for and why it is this one; ``auto`` is the model for an emulated clock.

    What is measured does not follow a clock that is emulated, and no card measures the CPU.
    Raises InvalidValueError for a meter there is not, HardwareError for one that cannot be read.

    :param model: calculates where nothing is measured.
    :param clock: the one to measure at.
    :param files: the machine.
    :param device: what models run on, as the profiler is told.
    """
    if name == 'auto' and clock.name == 'emulated':
        yield ModelMeter(model), 'model: an emulated clock changes no power'
        return
    choice = open_meter(
        name,
        files=files,
        device=card_of(device),
        pass_over={'nvml': 'models run on the CPU'} if runs_on_cpu(device) else {},
        model_meter=ModelSource(EnergyMeter(model, frequency_hz=NOMINAL_FREQUENCY_HZ)),
    )
    words = '; '.join((choice.why, *choice.rejected))
    if choice.meter.scope is Scope.MODEL:
        yield ModelMeter(model), words
        return
    with MeterSampler(choice.meter) as sampler:
        yield SampledMeter(sampler), words
