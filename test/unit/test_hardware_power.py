"""Power models and the meters that integrate them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.hardware.power.gpu_power_model import EnergyMeter, GpuPowerModel
from visionscaling_ros.hardware.power.radio_power import RadioEnergyMeter, RadioPowerModel


class Clock:
    """A monotonic clock the test turns."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


# GPU rail of a Jetson AGX Orin, YOLOv8n at 640 px (github.com/lijiaxi2018/Distributed-Learning).
ORIN_640_W = {
    306e6: 3.19, 408e6: 3.27, 510e6: 3.59, 612e6: 3.59, 714e6: 3.99, 816e6: 3.98, 918e6: 4.37,
    1020e6: 4.78, 1122e6: 5.65, 1224e6: 6.09, 1300.5e6: 6.45,
}  # fmt: skip


def test_the_default_model_is_near_what_was_measured() -> None:
    model = GpuPowerModel()
    for frequency_hz, power_w in ORIN_640_W.items():
        assert model.power_w(frequency_hz, 1.0) == pytest.approx(power_w, abs=0.3)


@pytest.mark.parametrize('name', ['alpha_w_per_ghz3', 'beta_w'])
@pytest.mark.parametrize('value', [-1.0, math.nan])
def test_a_negative_figure_is_refused(name: str, value: float) -> None:
    with pytest.raises(InvalidValueError, match=name):
        GpuPowerModel(**{name: value})


def test_idle_costs_beta_and_base() -> None:
    clock = Clock()
    meter = EnergyMeter(GpuPowerModel(2.0, 3.0), frequency_hz=1e9, base_w=4.0, now_s=clock)
    clock.now_s += 10.0
    reading = meter.read()
    assert reading.energy_j == pytest.approx(70.0)
    assert reading.power_w == pytest.approx(7.0)
    assert reading.utilization == 0.0


def test_a_steady_load_reads_steady() -> None:
    clock = Clock()
    model = GpuPowerModel(2.0, 3.0)
    meter = EnergyMeter(model, frequency_hz=1e9, now_s=clock)
    for _ in range(3):
        clock.now_s += 0.2
        meter.add_busy(0.1)
    meter.read()
    for _ in range(20):  # reports and readings interleave
        clock.now_s += 0.15
        reading = meter.read()
        assert reading.utilization == pytest.approx(0.5)
        assert reading.power_w == pytest.approx(model.power_w(1e9, 0.5))
        clock.now_s += 0.05
        meter.add_busy(0.1)


@given(
    st.lists(
        st.tuples(st.floats(0.01, 1.0), st.floats(0.0, 1.0), st.booleans()),
        min_size=1,
        max_size=40,
    )
)
def test_all_busy_time_counts_in_the_end_and_none_twice(
    steps: list[tuple[float, float, bool]],
) -> None:
    clock = Clock()
    model = GpuPowerModel(2.0, 3.0)
    meter = EnergyMeter(model, frequency_hz=1e9, base_w=1.0, now_s=clock)
    busy_s = 0.0
    for elapsed_s, share, read in steps:
        clock.now_s += elapsed_s
        meter.add_busy(share * elapsed_s)
        busy_s += share * elapsed_s
        if read:
            reading = meter.read()
            assert math.isnan(reading.utilization) or -1e-9 <= reading.utilization <= 1.0 + 1e-9
    meter.add_busy(0.0)
    for _ in range(60):
        clock.now_s += 1.0
        meter.add_busy(0.0)
    expected_j = 4.0 * (clock.now_s - 100.0) + 2.0 * busy_s
    assert meter.read().energy_j == pytest.approx(expected_j, rel=1e-9)


def test_busy_time_costs_as_much_as_the_clock_it_ran_at() -> None:
    clock = Clock()
    meter = EnergyMeter(GpuPowerModel(1.0, 0.0), frequency_hz=1e9, now_s=clock)
    clock.now_s += 1.0
    meter.add_busy(1.0)
    clock.now_s += 0.5
    meter.set_frequency(2e9)
    clock.now_s += 0.5
    assert meter.read().energy_j == pytest.approx(0.5 * 1.0 + 0.5 * 8.0)


def test_silence_ends_the_load() -> None:
    clock = Clock()
    meter = EnergyMeter(GpuPowerModel(1.0, 0.0), frequency_hz=1e9, now_s=clock)
    clock.now_s += 1.0
    meter.add_busy(1.0)
    clock.now_s += 100.0
    assert meter.read().energy_j == pytest.approx(1.0)


def test_a_model_can_change_on_the_way() -> None:
    clock = Clock()
    meter = EnergyMeter(GpuPowerModel(0.0, 1.0), frequency_hz=1e9, now_s=clock)
    clock.now_s += 1.0
    meter.set_model(GpuPowerModel(0.0, 5.0), 2.0)
    clock.now_s += 1.0
    assert meter.read().energy_j == pytest.approx(8.0)


@pytest.mark.parametrize('busy_s', [-0.1, math.nan, math.inf])
def test_impossible_busy_time_is_refused(busy_s: float) -> None:
    with pytest.raises(InvalidValueError, match='busy_s'):
        EnergyMeter(GpuPowerModel(), frequency_hz=1e9).add_busy(busy_s)


def test_without_time_there_is_no_mean() -> None:
    clock = Clock()
    assert math.isnan(
        EnergyMeter(GpuPowerModel(), frequency_hz=1e9, now_s=clock).read().power_w
    )
    assert math.isnan(RadioEnergyMeter(RadioPowerModel(), now_s=clock).update(0).power_w)


class TestRadio:
    def test_power_is_that_of_the_source_and_zero_when_off(self) -> None:
        model = RadioPowerModel()
        assert model.power_w(0.0) == 0.0
        assert model.power_w(10e6) == pytest.approx(0.54 + 0.795)

    def test_sending_without_pause_costs_the_model(self) -> None:
        clock = Clock()
        meter = RadioEnergyMeter(RadioPowerModel(), now_s=clock)
        for _ in range(10):
            clock.now_s += 0.2
            reading = meter.update(50_000)  # 2 Mbit/s
        assert reading.energy_j == pytest.approx(2.0 * RadioPowerModel().power_w(2e6))
        assert reading.power_w == pytest.approx(RadioPowerModel().power_w(2e6))

    def test_nothing_sent_costs_nothing(self) -> None:
        clock = Clock()
        meter = RadioEnergyMeter(RadioPowerModel(), now_s=clock)
        clock.now_s += 100.0
        assert meter.update(0).energy_j == 0.0

    @pytest.mark.parametrize('step_s', [0.3, 1.0, 7.0])
    def test_the_tail_is_charged_once_however_often_it_is_read(self, step_s: float) -> None:
        clock = Clock()
        meter = RadioEnergyMeter(RadioPowerModel(0.5, 0.1, tail_s=10.0), now_s=clock)
        clock.now_s += 0.2
        meter.update(125_000)  # 1 Mbit
        while clock.now_s < 140.0:
            clock.now_s += step_s
            reading = meter.update(0)
        assert reading.energy_j == pytest.approx(0.5 * (0.2 + 10.0) + 0.1)
        assert reading.power_w == 0.0

    def test_a_transfer_within_the_tail_extends_it(self) -> None:
        clock = Clock()
        meter = RadioEnergyMeter(RadioPowerModel(1.0, 0.0, tail_s=2.0), now_s=clock)
        for sent_bytes in (1, 0, 1, 0, 0, 0, 0, 0):
            clock.now_s += 1.0
            reading = meter.update(sent_bytes)
        assert reading.energy_j == pytest.approx(5.0)

    @pytest.mark.parametrize('name', ['fixed_w', 'w_per_mbps', 'tail_s'])
    def test_a_negative_figure_is_refused(self, name: str) -> None:
        with pytest.raises(InvalidValueError, match=name):
            RadioPowerModel(**{name: -1.0})

    def test_negative_bytes_are_refused(self) -> None:
        with pytest.raises(InvalidValueError, match='sent_bytes'):
            RadioEnergyMeter(RadioPowerModel()).update(-1)
