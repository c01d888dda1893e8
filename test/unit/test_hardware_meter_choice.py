"""Which meter is used, and why the others are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hardware_trees import JETSONS, agx_xavier_jetpack5, bare, cpu_board, orin_nano, pc

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.power import choice as choice_module
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
    board = 'the module and its' if name == 'thor' else 'the module without its'
    assert f'it covers {board} carrier board' in choice.why


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


RAILS = '/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1'


@pytest.mark.parametrize('text', ['', '-5000'])
def test_a_meter_none_of_whose_rails_can_be_read_is_passed_over(text: str, tmp_path: Path) -> None:
    tree = orin_nano(tmp_path)
    for channel in (1, 2, 3):
        tree.write(f'{RAILS}/in{channel}_input', text)
    choice = choose('auto', tree.files)
    assert choice.meter.name == 'model'
    assert choice.rejected[0].startswith('ina3221: ')
    assert 'in1_input' in choice.rejected[0]


def test_a_meter_that_lacks_a_rail_of_its_total_is_passed_over(tmp_path: Path) -> None:
    tree = agx_xavier_jetpack5(tmp_path)
    tree.write('/sys/bus/i2c/drivers/ina3221/1-0041/hwmon/hwmon3/curr2_input', '')  # VDDRQ
    choice = choose('auto', tree.files)
    assert choice.meter.name == 'model'
    assert 'curr2_input' in choice.rejected[0]
    assert choose('ina3221', tree.files).meter.name == 'ina3221'


def test_a_meter_that_hangs_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice_module, 'ANSWER_S', 0.2)
    tree = orin_nano(tmp_path)
    tree.remove(f'{RAILS}/in1_input')
    pipe = tree.root / f'{RAILS}/in1_input'.lstrip('/')
    os.mkfifo(pipe)  # to open it waits for a writer
    try:
        choice = choose('auto', tree.files)
    finally:
        os.close(os.open(pipe, os.O_WRONLY))
    assert choice.meter.name == 'model'
    assert 'no answer for 0.2 s' in choice.rejected[0]


def test_what_is_to_be_passed_over_is_told_with_why(tmp_path: Path) -> None:
    model_meter = ModelMeter(EnergyMeter(GpuPowerModel(), frequency_hz=1e9))
    files, reasons = pc(tmp_path).files, {'rapl': 'somebody else reads it'}
    choice = open_meter('auto', files=files, model_meter=model_meter, pass_over=reasons)
    assert choice.meter.name == 'battery'
    assert choice.rejected[-1] == 'rapl: somebody else reads it'
    named = open_meter('rapl', files=files, model_meter=model_meter, pass_over=reasons)
    assert named.meter.name == 'rapl'
