"""What every power meter keeps to, on every machine it is for."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_nvml import FakeNvml
from hardware_trees import JETSONS, pc

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.power.battery_meter import BatteryMeter
from visionscaling_ros.hardware.power.gpu_power_model import EnergyMeter, GpuPowerModel
from visionscaling_ros.hardware.power.ina3221_meter import Ina3221Meter
from visionscaling_ros.hardware.power.meter_sampler import MeterSampler
from visionscaling_ros.hardware.power.model_meter import ModelMeter
from visionscaling_ros.hardware.power.nvml_meter import NvmlMeter
from visionscaling_ros.hardware.power.power_meter import PowerMeter, Scope
from visionscaling_ros.hardware.power.rapl_meter import RaplMeter

METERS = [f'ina3221 {name}' for name in JETSONS] + ['rapl', 'battery', 'nvml', 'model']


@pytest.fixture(params=METERS)
def broken_by(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[PowerMeter, Callable[[], None]]:
    """A meter, and what takes its device away."""
    kind, _, name = request.param.partition(' ')
    if kind == 'nvml':
        fake = FakeNvml(tmp_path / 'state')
        fake.install(monkeypatch)
        return NvmlMeter(), lambda: fake.fail('nvmlDeviceGetTotalEnergyConsumption', 15)
    if kind == 'model':
        return ModelMeter(EnergyMeter(GpuPowerModel(), frequency_hz=1e9)), lambda: None
    tree = (JETSONS[name] if name else pc)(tmp_path)
    meters: dict[str, Callable[[DeviceFiles], PowerMeter]] = {
        'ina3221': Ina3221Meter, 'rapl': RaplMeter, 'battery': BatteryMeter
    }  # fmt: skip
    ends = ('in_power*_input', 'in[0-9]_input', 'power1_input', 'energy_uj', 'status')

    def take_away() -> None:
        for end in ends:
            for file in tree.root.rglob(end):
                if not file.is_symlink():
                    file.unlink()

    return meters[kind](tree.files), take_away


@pytest.fixture
def meter(broken_by: tuple[PowerMeter, Callable[[], None]]) -> PowerMeter:
    return broken_by[0]


def test_it_says_what_it_is(meter: PowerMeter) -> None:
    assert meter.name
    assert meter.device
    assert isinstance(meter.scope, Scope)
    assert (meter.scope is Scope.MODEL) == (meter.name == 'model')
    assert 0.0 < meter.period_s <= 10.0


def test_the_total_is_made_of_its_rails_each_once(meter: PowerMeter) -> None:
    assert meter.total_rails
    assert set(meter.total_rails) <= set(meter.rails)
    assert len(set(meter.rails)) == len(meter.rails)


def test_a_sample_holds_known_rails_and_possible_values(meter: PowerMeter) -> None:
    first = meter.read()
    second = meter.read()
    assert second.time_s >= first.time_s
    for sample in (first, second):
        assert set(sample.power_w) | set(sample.energy_j) <= set(meter.rails)
        assert all(math.isfinite(w) and w >= 0.0 for w in sample.power_w.values())
        assert all(math.isfinite(j) and j >= 0.0 for j in sample.energy_j.values())
        assert not sample.restarted
        assert not sample.trouble
        assert set(meter.total_rails) <= set(sample.power_w) | set(sample.energy_j)
    assert all(second.energy_j[rail] >= first.energy_j[rail] for rail in first.energy_j)


def test_a_counter_counts_since_the_meter_was_made(meter: PowerMeter) -> None:
    assert all(energy_j < 1.0 for energy_j in meter.read().energy_j.values())


def test_it_may_be_closed_twice_and_read_again(meter: PowerMeter) -> None:
    with meter:
        meter.read()
    meter.close()
    assert meter.read().time_s > 0.0
    meter.close()


def test_a_device_that_goes_is_an_error_in_words(
    broken_by: tuple[PowerMeter, Callable[[], None]],
) -> None:
    meter, take_away = broken_by
    if meter.scope is Scope.MODEL:
        pytest.skip('a model does not go')
    meter.read()
    take_away()
    with pytest.raises(HardwareError, match=r'cannot be read|is lost|is not discharged'):
        read_often(meter)


def read_often(meter: PowerMeter) -> None:
    for _ in range(20):  # a plain file's removal is not seen at once
        meter.read()


def test_a_sampler_adds_it_up(meter: PowerMeter) -> None:
    sampler = MeterSampler(meter, 100.0)
    for _ in range(3):
        sampler.sample()
    reading = sampler.read()
    sampler.close()
    assert (reading.samples, reading.trouble) == (3, '')
    assert reading.energy_j >= 0.0
    assert reading.measured_s + reading.gap_s > 0.0


class TestModel:
    def test_it_tells_the_models_energy_and_leaves_its_means_alone(self) -> None:
        now_s = 10.0
        energy_meter = EnergyMeter(
            GpuPowerModel(2.0, 3.0), frequency_hz=1e9, base_w=4.0, now_s=lambda: now_s
        )
        meter = ModelMeter(energy_meter)
        now_s += 1.0
        energy_meter.add_busy(1.0)
        now_s += 0.5
        busy = meter.read()
        assert busy.power_w['model'] == pytest.approx(9.0)
        now_s += 1.5
        idle = meter.read()
        assert idle.power_w['model'] == pytest.approx(7.0)
        reading = energy_meter.read()
        assert idle.energy_j['model'] == reading.energy_j == pytest.approx(3 * 7.0 + 2.0)
        assert reading.power_w == pytest.approx(23.0 / 3.0)


@pytest.mark.parametrize('rate_hz', [0.0, -1.0, math.nan, math.inf, 1001.0])
def test_an_impossible_rate_is_refused(rate_hz: float) -> None:
    meter = ModelMeter(EnergyMeter(GpuPowerModel(), frequency_hz=1e9))
    with pytest.raises(InvalidValueError, match='rate_hz'):
        MeterSampler(meter, rate_hz)
