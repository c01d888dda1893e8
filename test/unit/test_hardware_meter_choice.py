"""Which meter is used, and why the others are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hardware_trees import JETSONS, bare, cpu_board, orin_nano, pc

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.power.choice import METERS, MeterChoice, open_meter
from visionscaling_ros.hardware.power.gpu_power_model import EnergyMeter, GpuPowerModel
from visionscaling_ros.hardware.power.model_meter import ModelMeter
from visionscaling_ros.hardware.power.power_meter import Scope


def choose(backend: str, files: object) -> MeterChoice:
    model_meter = ModelMeter(EnergyMeter(GpuPowerModel(), frequency_hz=1e9))
    return open_meter(backend, files=files, model_meter=model_meter)  # type: ignore[arg-type]


@pytest.mark.parametrize('name', JETSONS)
def test_a_jetson_has_its_own(name: str, tmp_path: Path) -> None:
    choice = choose('auto', JETSONS[name](tmp_path).files)
    assert (choice.meter.name, choice.meter.scope) == ('ina3221', Scope.BOARD)
    assert choice.rejected == ()
    assert 'the whole computer' in choice.why


def test_a_pc_has_its_processors(tmp_path: Path) -> None:
    choice = choose('auto', pc(tmp_path).files)
    assert choice.meter.name == 'rapl'
    assert 'the processor alone' in choice.why
    assert [words.partition(':')[0] for words in choice.rejected] == ['ina3221', 'nvml']


def test_without_counters_the_battery_is_used_while_it_is_discharged(tmp_path: Path) -> None:
    tree = pc(tmp_path)
    for zone in ('intel-rapl:0', 'intel-rapl:0:0', 'intel-rapl:0:1', 'intel-rapl:0:2'):
        tree.remove(f'/sys/class/powercap/{zone}')
    assert choose('auto', tree.files).meter.name == 'battery'
    tree.write('/sys/class/power_supply/BAT0/status', 'Charging')
    choice = choose('auto', tree.files)
    assert choice.meter.name == 'model'
    assert 'BAT0 is not discharged (status Charging)' in choice.rejected[-1]
    assert choose('battery', tree.files).meter.name == 'battery'


@pytest.mark.parametrize('build', [bare, cpu_board])
def test_where_nothing_measures_the_model_is_named_as_one(build, tmp_path: Path) -> None:
    choice = choose('auto', build(tmp_path).files)
    assert (choice.meter.name, choice.meter.scope) == ('model', Scope.MODEL)
    assert 'calculated' in choice.why
    named = [words.partition(':')[0] for words in choice.rejected]
    assert named == ['ina3221', 'nvml', 'rapl', 'battery']


@pytest.mark.parametrize('backend', ['ina3221', 'rapl', 'battery'])
def test_a_meter_asked_for_by_name_is_not_replaced(backend: str, tmp_path: Path) -> None:
    files = bare(tmp_path).files
    with pytest.raises(HardwareError):
        choose(backend, files)
    assert choose('model', files).meter.name == 'model'


def test_a_meter_there_is_not_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=', '.join(METERS)):
        choose('multimeter', bare(tmp_path).files)


def test_asking_for_one_names_it(tmp_path: Path) -> None:
    choice = choose('ina3221', orin_nano(tmp_path).files)
    assert choice.why.startswith('ina3221 (INA3221 of Orin Nano')
    assert 'asked for' in choice.why
