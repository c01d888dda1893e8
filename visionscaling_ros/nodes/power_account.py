"""What the robot's computer draws, measured where that is possible."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from visionscaling_ros.datatypes import NOMINAL_FREQUENCY_HZ
from visionscaling_ros.hardware.power.gpu_power_model import EnergyMeter, GpuPowerModel
from visionscaling_ros.hardware.power.meter_sampler import MeterReading, MeterSampler
from visionscaling_ros.hardware.power.power_meter import Scope


@dataclass(frozen=True)
class PowerReading:
    """Power and energy of the whole computer, since the account was opened.

    :param power_w: mean since the reading before, or the last one known of a meter that has
        nothing new; NaN in a gap.
    :param energy_j: gaps are not in it.
    :param measured_s: time whose energy that is.
    :param utilization: share of time the GPU was busy since the reading before.
    :param source: where they come from.
    :param covers_radio: the uplink radio is in power and energy.
    :param rail_power_w: power of each rail when it was last read; NaN: lost.
    :param counter_j: growth of the device's own counter; NaN without one.
    :param gap_s: time of which no power is known.
    :param trouble: what is wrong with the meter now; empty: nothing.
    """

    power_w: float
    energy_j: float
    measured_s: float
    utilization: float
    source: str
    covers_radio: bool = False
    rail_names: tuple[str, ...] = ()
    rail_power_w: tuple[float, ...] = ()
    counter_j: float = math.nan
    gap_s: float = 0.0
    trouble: str = ''


class PowerAccount:
    """Power by a meter, or by a model without one; utilisation by what is reported busy.

    A meter of the whole board has everything in it. To one of the GPU or the CPU alone the base is
    added, for as long as the meter could be read.

    :param base_w: power of what the model, and a meter of less than the board, leaves out.
    :param sampler: a meter that is running; None: there is none.
    :param now_s: monotonic clock of the model.
    """

    def __init__(
        self,
        model: GpuPowerModel,
        base_w: float,
        sampler: MeterSampler | None = None,
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now_s = now_s
        self._opened_s = now_s()
        self._model = EnergyMeter(
            model, frequency_hz=NOMINAL_FREQUENCY_HZ, base_w=base_w, now_s=now_s
        )
        self._frequency_known = False
        self._sampler = sampler
        self._base_w = base_w
        self._base_j = 0.0
        self._start = self._last = None if sampler is None else sampler.read()
        self._counted_before_j = math.nan  # by the device, before the account was opened
        if sampler is not None and self._start is not None:
            self._counted_before_j = _counted_j(self._start, sampler.meter.total_rails)

    def set_model(self, model: GpuPowerModel, base_w: float) -> None:
        """Another model and base from now on."""
        self._model.set_model(model, base_w)
        self._base_w = base_w

    def set_frequency(self, frequency_hz: float) -> None:
        """The clock is ``frequency_hz`` from now on [Hz]; NaN: not known."""
        self._frequency_known = frequency_hz > 0.0
        self._model.set_frequency(frequency_hz if self._frequency_known else NOMINAL_FREQUENCY_HZ)

    def add_busy(self, busy_s: float) -> None:
        """The GPU was busy for so long [s] since the last report."""
        self._model.add_busy(busy_s)

    def read(self) -> PowerReading:
        """Everything up to now; never waits for the meter."""
        model = self._model.read()
        if self._sampler is None:
            nominal = f' at {NOMINAL_FREQUENCY_HZ * 1e-6:.0f} MHz'
            source = 'model' + ('' if self._frequency_known else nominal)
            measured_s = self._now_s() - self._opened_s
            return PowerReading(
                model.power_w, model.energy_j, measured_s, model.utilization, source
            )
        return self._measured(self._sampler, self._sampler.read(), model.utilization)

    def _measured(
        self, sampler: MeterSampler, now: MeterReading, utilization: float
    ) -> PowerReading:
        start, last, self._last = self._start, self._last, now
        assert start is not None
        assert last is not None
        meter = sampler.meter
        whole = meter.scope is Scope.BOARD
        base_w = 0.0 if whole else self._base_w
        self._base_j += base_w * (now.measured_s - last.measured_s)
        counted_j = _counted_j(now, meter.total_rails)
        if math.isnan(self._counted_before_j):  # the meter failed until now
            self._counted_before_j = counted_j
        return PowerReading(
            power_w=now.power_w + base_w,
            energy_j=now.energy_j - start.energy_j + self._base_j,
            measured_s=now.measured_s - start.measured_s,
            utilization=utilization,
            source=meter.name if whole else f'{meter.name} + power_base_w',
            covers_radio=meter.covers_radio,
            rail_names=meter.rails,
            rail_power_w=tuple(now.rail_power_w.get(rail, math.nan) for rail in meter.rails),
            counter_j=counted_j - self._counted_before_j,
            gap_s=max(0.0, now.gap_s - start.gap_s),
            trouble=now.trouble,
        )


def _counted_j(reading: MeterReading, rails: tuple[str, ...]) -> float:
    """The counters of the rails that make the total; NaN unless each has one."""
    return sum(reading.rail_energy_j.get(rail, math.nan) for rail in rails)
