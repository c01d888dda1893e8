"""A power model in the place of a meter."""

from __future__ import annotations

import time

from visionscaling_ros.hardware.power.gpu_power_model import EnergyMeter
from visionscaling_ros.hardware.power.power_meter import PowerMeter, PowerSample, Scope

RAIL = 'model'


class ModelMeter(PowerMeter):
    """Tells what a model calculates; nothing is measured, and its name says so.

    Its energy is that of the model, base included, exact at every reading.

    :param energy_meter: the model; who sets its clock and reports busy time keeps it.
    """

    name = 'model'
    device = "the GPU's power model"
    scope = Scope.MODEL
    period_s = 0.05

    def __init__(self, energy_meter: EnergyMeter) -> None:
        self._energy_meter = energy_meter

    @property
    def rails(self) -> tuple[str, ...]:
        """One."""
        return (RAIL,)

    @property
    def total_rails(self) -> tuple[str, ...]:
        """The same one."""
        return (RAIL,)

    def read(self) -> PowerSample:
        """The model's energy up to now and its power now."""
        energy_j, power_w = self._energy_meter.total()
        return PowerSample(time.monotonic(), {RAIL: power_w}, {RAIL: energy_j})
