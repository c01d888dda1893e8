"""Whose total has the uplink radio in it already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hardware_trees import Tree, agx_orin, agx_xavier, nano, orin_nano, pc, thor, tx2

from visionscaling_ros.hardware.power.battery_meter import BatteryMeter
from visionscaling_ros.hardware.power.gpu_power_model import EnergyMeter, GpuPowerModel
from visionscaling_ros.hardware.power.ina3221_meter import Ina3221Meter
from visionscaling_ros.hardware.power.model_meter import ModelMeter
from visionscaling_ros.hardware.power.nvml_meter import NvmlMeter
from visionscaling_ros.hardware.power.rapl_meter import RaplMeter


@pytest.mark.parametrize(
    ('build', 'covered'),
    [
        (nano, False),
        (agx_xavier, False),
        (agx_orin, False),
        (orin_nano, False),
        (tx2, True),  # Wi-Fi is on the module
        (thor, True),  # VIN is of the carrier board too
    ],
)
def test_a_module_has_the_radio_only_where_it_is_on_it(
    tmp_path: Path, build: Callable[[Path], Tree], covered: bool
) -> None:
    with Ina3221Meter(build(tmp_path).files) as meter:
        assert meter.covers_radio is covered


def test_a_battery_and_the_platforms_counter_have_everything(tmp_path: Path) -> None:
    tree = pc(tmp_path)
    with BatteryMeter(tree.files) as battery, RaplMeter(tree.files) as package:
        assert battery.covers_radio
        assert not package.covers_radio
    zone = '/sys/devices/virtual/powercap/intel-rapl/intel-rapl:1'
    tree.write(f'{zone}/name', 'psys')
    tree.write(f'{zone}/energy_uj', 5_000_000)
    tree.link('/sys/class/powercap/intel-rapl:1', zone)
    with RaplMeter(tree.files) as platform:
        assert platform.covers_radio


def test_a_card_and_the_model_have_none() -> None:
    model = ModelMeter(EnergyMeter(GpuPowerModel(), frequency_hz=1e9))
    assert not model.covers_radio
    assert not NvmlMeter.covers_radio
