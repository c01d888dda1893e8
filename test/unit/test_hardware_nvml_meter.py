"""A card's power and energy counter, through the real binding and a library built here."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_nvml import DRIVER_NOT_LOADED, GPU_IS_LOST, NOT_SUPPORTED, FakeNvml

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.power.meter_sampler import MeterSampler
from visionscaling_ros.hardware.power.nvml_meter import ENERGY, POWER, NvmlMeter
from visionscaling_ros.hardware.power.power_meter import Scope


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml(tmp_path / 'nvml', cards=2)
    fake.install(monkeypatch)
    return fake


def test_power_and_energy_are_the_cards(card: FakeNvml) -> None:
    with NvmlMeter() as meter:
        assert 'NVIDIA Fake 4000' in meter.device
        assert meter.scope is Scope.GPU
        meter.read()
        card.set(energy_mj=123_456_789 + 1_500, power_mw=80_000)
        sample = meter.read()
        assert sample.power_w == {'gpu': pytest.approx(80.0)}
        assert sample.energy_j == {'gpu': pytest.approx(1.5)}


def test_another_card_is_had_by_index_and_uuid(card: FakeNvml) -> None:
    for device in ('1', 'GPU-00000001-fake'):
        with NvmlMeter(device) as meter:
            assert 'GPU-00000001-fake' in meter.device
    with pytest.raises(HardwareError, match='no such NVIDIA card'):
        NvmlMeter('7')


def test_a_card_without_a_counter_is_integrated(card: FakeNvml) -> None:
    card.fail(ENERGY, NOT_SUPPORTED)
    with NvmlMeter() as meter:
        sample = meter.read()
        assert sample.power_w['gpu'] == pytest.approx(74.25)
        assert not sample.energy_j
        card.set(power_mw=80_000)
        assert meter.read().power_w['gpu'] == pytest.approx(80.0)


def test_a_card_with_a_counter_only_is_measured(card: FakeNvml) -> None:
    card.fail(POWER, NOT_SUPPORTED)
    with NvmlMeter() as meter:
        sample = meter.read()
        assert not sample.power_w
        assert sample.energy_j == {'gpu': 0.0}


def test_a_card_that_tells_neither_is_refused(card: FakeNvml) -> None:
    card.fail(POWER, NOT_SUPPORTED)
    card.fail(ENERGY, NOT_SUPPORTED)
    with pytest.raises(HardwareError, match='neither its power nor its energy'):
        NvmlMeter()


def test_an_impossible_power_is_told_and_not_counted(card: FakeNvml) -> None:
    with NvmlMeter() as meter:
        card.set(power_mw=4_000_000_000)
        sample = meter.read()
        assert not sample.power_w
        assert 'not counted' in sample.trouble['gpu']


def test_a_lost_card_is_a_gap_and_is_asked_again(card: FakeNvml) -> None:
    sampler = MeterSampler(NvmlMeter(), 10.0)
    sampler.sample()
    card.fail(ENERGY, GPU_IS_LOST)
    sampler.sample()
    assert 'is lost' in sampler.read().trouble
    card.fail('nvmlInit_v2', DRIVER_NOT_LOADED)
    sampler.sample()
    assert sampler.read().trouble
    card.fail(ENERGY, None)
    card.fail('nvmlInit_v2', None)
    card.set(energy_mj=10)  # the driver was loaded again
    sampler.sample()
    reading = sampler.read()
    assert (reading.trouble, reading.gaps, reading.energy_j) == ('', 1, 0.0)
    card.set(energy_mj=1_010)
    sampler.sample()
    assert sampler.read().energy_j == pytest.approx(1.0)
    sampler.close()
