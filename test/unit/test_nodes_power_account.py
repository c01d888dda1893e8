"""Power and energy of the whole computer, measured where that is possible."""

from __future__ import annotations

import math

import pytest

pytest.importorskip('rclpy')

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.power.gpu_power_model import GpuPowerModel
from visionscaling_ros.hardware.power.meter_sampler import MeterSampler
from visionscaling_ros.hardware.power.power_meter import PowerMeter, PowerSample, Scope
from visionscaling_ros.nodes.power_account import PowerAccount

MODEL = GpuPowerModel()


class Meter(PowerMeter):
    """Two rails whose power a test says; ``total`` is what the scope covers."""

    name, device, period_s = 'bench', 'bench meter', 1.0
    rails, total_rails = ('total', 'part'), ('total',)
    error: HardwareError | None = None

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.time_s = 0.0
        self.power_w = {'total': 10.0, 'part': 3.0}
        self.energy_j: dict[str, float] = {}

    def read(self) -> PowerSample:
        if self.error is not None:
            raise self.error
        return PowerSample(self.time_s, dict(self.power_w), dict(self.energy_j))


class Bench:
    """A sampler that samples when it is told to."""

    def __init__(self, scope: Scope) -> None:
        self.meter = Meter(scope)
        self.sampler = MeterSampler(self.meter, now_s=lambda: self.meter.time_s)
        self.sampler.sample()

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.meter.time_s += 1.0
            self.sampler.sample()


def test_without_a_meter_the_model_tells_and_says_so() -> None:
    account = PowerAccount(MODEL, 4.6)
    reading = account.read()
    assert reading.source == 'model at 1000 MHz'
    account.set_frequency(612e6)
    assert account.read().source == 'model'
    account.set_frequency(math.nan)
    assert account.read().source == 'model at 1000 MHz'
    assert math.isnan(reading.counter_j)
    assert reading.rail_names == ()


def test_a_meter_of_the_board_has_everything_in_it() -> None:
    bench = Bench(Scope.BOARD)
    account = PowerAccount(MODEL, 4.6, bench.sampler)
    bench.run(5)
    reading = account.read()
    assert reading.source == 'bench'
    assert reading.power_w == pytest.approx(10.0)
    assert reading.energy_j == pytest.approx(50.0)
    assert dict(zip(reading.rail_names, reading.rail_power_w, strict=True)) == {
        'total': 10.0, 'part': 3.0,
    }  # fmt: skip


@pytest.mark.parametrize('scope', [Scope.GPU, Scope.CPU])
def test_to_a_meter_of_less_the_base_is_added_and_named(scope: Scope) -> None:
    bench = Bench(scope)
    account = PowerAccount(MODEL, 4.0, bench.sampler)
    bench.run(5)
    reading = account.read()
    assert reading.source == 'bench + power_base_w'
    assert reading.power_w == pytest.approx(14.0)
    assert reading.energy_j == pytest.approx(70.0)
    account.set_model(MODEL, 1.0)  # from now on
    bench.run(2)
    assert account.read().energy_j == pytest.approx(70.0 + 2 * 11.0)


def test_what_was_drawn_before_the_account_was_opened_is_not_in_it() -> None:
    bench = Bench(Scope.GPU)
    bench.run(7)
    account = PowerAccount(MODEL, 4.0, bench.sampler)
    assert account.read().energy_j == 0.0
    bench.run(1)
    assert account.read().energy_j == pytest.approx(14.0)


def test_a_gap_is_told_and_neither_meter_nor_base_is_counted_in_it() -> None:
    bench = Bench(Scope.GPU)
    account = PowerAccount(MODEL, 4.0, bench.sampler)
    bench.run(2)
    account.read()
    del bench.meter.power_w['total']
    bench.run(10)
    reading = account.read()
    assert reading.gap_s > 0.0
    assert math.isnan(reading.power_w)
    assert math.isnan(reading.rail_power_w[0])
    assert reading.energy_j == pytest.approx(28.0)
    bench.meter.power_w['total'] = 10.0
    bench.run(3)
    later = account.read()
    assert later.energy_j + 14.0 * later.gap_s == pytest.approx(14.0 * 15)


def test_the_devices_own_counter_counts_from_the_start_of_the_account() -> None:
    bench = Bench(Scope.BOARD)
    bench.meter.energy_j = {'total': 100.0}
    bench.run(1)
    account = PowerAccount(MODEL, 4.0, bench.sampler)
    bench.meter.energy_j = {'total': 112.5}
    bench.run(1)
    assert account.read().counter_j == pytest.approx(12.5)


def test_the_devices_counter_counts_from_its_first_word() -> None:
    bench = Bench(Scope.BOARD)
    bench.meter.energy_j = {'total': 100.0}
    bench.meter.error = HardwareError('not yet')
    bench.run(1)
    account = PowerAccount(MODEL, 4.0, bench.sampler)
    bench.run(1)
    assert math.isnan(account.read().counter_j)
    bench.meter.error = None
    bench.run(1)
    assert account.read().counter_j == 0.0
    bench.meter.energy_j = {'total': 107.5}
    bench.run(1)
    assert account.read().counter_j == pytest.approx(7.5)


def test_the_time_measured_is_that_of_the_energy() -> None:
    bench = Bench(Scope.GPU)
    bench.run(3)
    account = PowerAccount(MODEL, 4.0, bench.sampler)
    assert account.read().measured_s == 0.0
    bench.run(5)
    bench.meter.time_s += 0.9
    reading = account.read()
    assert reading.energy_j / reading.measured_s == pytest.approx(14.0)
    assert reading.measured_s == pytest.approx(5.0)
    assert account.read().power_w == pytest.approx(14.0)  # until the next sample


def test_the_models_energy_is_that_of_all_the_time() -> None:
    now_s = 100.0
    account = PowerAccount(MODEL, 4.6, now_s=lambda: now_s)
    for now_s in (100.3, 101.0, 107.0):
        reading = account.read()
        assert reading.measured_s == pytest.approx(now_s - 100.0)
        assert reading.energy_j == pytest.approx((4.6 + MODEL.beta_w) * reading.measured_s)
        assert reading.power_w == pytest.approx(4.6 + MODEL.beta_w)


def test_a_gap_from_before_is_not_of_this_account() -> None:
    bench = Bench(Scope.BOARD)
    bench.meter.energy_j = {'total': 100.0}
    bench.run(1)
    bench.meter.time_s += 20.0  # it hangs
    account = PowerAccount(MODEL, 4.0, bench.sampler)
    assert account.read().gap_s == 0.0
    bench.meter.time_s += 5.0
    assert account.read().gap_s == pytest.approx(5.0)
    bench.sampler.sample()  # its counter told what was drawn meanwhile
    assert account.read().gap_s == 0.0


@pytest.mark.parametrize('covers', [False, True])
def test_who_measures_says_whether_the_radio_is_in_it(covers: bool) -> None:
    bench = Bench(Scope.BOARD)
    bench.meter.covers_radio = covers
    assert PowerAccount(MODEL, 4.0, bench.sampler).read().covers_radio is covers
    assert not PowerAccount(MODEL, 4.0).read().covers_radio
