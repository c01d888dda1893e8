"""Rails of every Jetson layout, and rails that cannot be believed."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from hardware_trees import (
    JETSONS,
    Tree,
    agx_orin,
    agx_xavier,
    agx_xavier_jetpack5,
    bare,
    orin_nano,
    thor,
    tx2,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.power.attribute import CHECK_EVERY
from visionscaling_ros.hardware.power.ina3221_meter import (
    LEAST_PERIOD_S,
    OTHERS_PERIOD_S,
    Ina3221Meter,
)
from visionscaling_ros.hardware.power.meter_sampler import MeterSampler
from visionscaling_ros.hardware.power.power_meter import PowerSample
from visionscaling_ros.hardware.power.rail_layouts import LAYOUTS, layout_of

ORIN_NANO = '/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1'
AGX_ORIN = '/sys/bus/i2c/drivers/ina3221/1-0041/hwmon/hwmon4'
# total [W] and rails of GPU and CPU, by hand from the trees
EXPECTED = {
    'nano': (3.280, 'POM_5V_GPU', 'POM_5V_CPU'),
    'tx2': (7.150, 'VDD_SYS_GPU', 'VDD_SYS_CPU'),
    'agx_xavier': (1.540 + 1.230 + 2.160 + 0.0 + 0.770 + 2.490, 'GPU', 'CPU'),
    'agx_xavier_jetpack5': (19.104 * (0.080 + 0.064 + 0.113 + 0.040 + 0.130), 'GPU', 'CPU'),
    'agx_orin_jetpack5': (19.8 * 0.221 + 4.992 * 0.880, 'VDD_GPU_SOC', 'VDD_CPU_CV'),
    'agx_orin': (19.8 * 0.221 + 4.992 * 0.880, 'VDD_GPU_SOC', 'VDD_CPU_CV'),
    'orin_nano': (4.984 * 1.856, 'VDD_CPU_GPU_CV', 'VDD_CPU_GPU_CV'),
    'thor': (21.384, 'VDD_GPU', 'VDD_CPU_SOC_MSS'),
}


def read_until_seen(meter: Ina3221Meter) -> PowerSample:
    """A plain file's removal is seen after some reads; a real device's at once."""
    for _ in range(CHECK_EVERY):
        meter.read()
    return meter.read()


@pytest.mark.parametrize('name', JETSONS)
def test_total_gpu_and_cpu_are_those_of_the_board(name: str, tmp_path: Path) -> None:
    with Ina3221Meter(JETSONS[name](tmp_path).files) as meter:
        sample = meter.read()
        total_w, gpu, cpu = EXPECTED[name]
        assert sum(sample.power_w[rail] for rail in meter.total_rails) == pytest.approx(total_w)
        assert (meter.layout.gpu, meter.layout.cpu) == (gpu, cpu)
        assert {gpu, cpu} <= set(sample.power_w)


def test_the_part_of_another_rail_is_not_counted_twice(tmp_path: Path) -> None:
    with Ina3221Meter(agx_orin(tmp_path).files) as meter:
        assert 'VDDQ_VDD2_1V8AO' in meter.rails
        assert 'VDDQ_VDD2_1V8AO' not in meter.total_rails


def test_shunt_voltages_their_sum_and_unconnected_channels_are_no_rails(tmp_path: Path) -> None:
    with Ina3221Meter(agx_orin(tmp_path).files) as meter:
        assert sorted(meter.rails) == [
            'VDDQ_VDD2_1V8AO', 'VDD_CPU_CV', 'VDD_GPU_SOC', 'VIN_SYS_5V0'
        ]  # fmt: skip


def test_thor_without_its_input_sensor_is_the_sum_of_the_module(tmp_path: Path) -> None:
    tree = thor(tmp_path)
    tree.remove('/sys/bus/i2c/drivers/ina238/2-0044')
    with Ina3221Meter(tree.files) as meter:
        assert meter.total_rails == ('VDD_GPU', 'VDD_CPU_SOC_MSS', 'VIN_SYS_5V0')
        assert 'without' in meter.device
        assert meter.covers == 'the module without its carrier board'


def test_jetpack_4_also_names_the_folder_iio_device(tmp_path: Path) -> None:
    tree = agx_xavier(tmp_path)
    for chip in ('1-0040', '1-0041'):
        device = (tree.root / f'sys/bus/i2c/drivers/ina3221x/{chip}').resolve()
        (folder,) = device.glob('iio:device*')
        folder.rename(device / 'iio_device')
    with Ina3221Meter(tree.files) as meter:
        assert meter.read().power_w['GPU'] == pytest.approx(1.54)


def test_a_slow_monitors_interval_is_the_meters_period(tmp_path: Path) -> None:
    tree = orin_nano(tmp_path)
    assert Ina3221Meter(tree.files).period_s == LEAST_PERIOD_S
    tree.write(f'{ORIN_NANO}/update_interval', 34)
    assert Ina3221Meter(tree.files).period_s == pytest.approx(0.034)
    for nonsense in ('0', '-5', 'soon', '99999999'):
        tree.write(f'{ORIN_NANO}/update_interval', nonsense)
        assert Ina3221Meter(tree.files).period_s == LEAST_PERIOD_S


@pytest.mark.parametrize('interval_ms', [7, 1])  # by default, and the shortest it can do
def test_a_fast_monitor_is_read_no_more_often_than_100_times_a_second(
    interval_ms: int, tmp_path: Path
) -> None:
    tree = orin_nano(tmp_path)
    tree.write(f'{ORIN_NANO}/update_interval', interval_ms)
    assert Ina3221Meter(tree.files).period_s == LEAST_PERIOD_S == 0.01


def test_rails_outside_the_total_are_read_ten_times_a_second(tmp_path: Path) -> None:
    tree = orin_nano(tmp_path)
    now_s = 100.0
    with Ina3221Meter(tree.files, now_s=lambda: now_s) as meter:
        meter.read()
        tree.write(f'{ORIN_NANO}/curr1_input', 1000)
        tree.write(f'{ORIN_NANO}/curr3_input', 1000)
        now_s += 0.99 * OTHERS_PERIOD_S
        sample = meter.read()
        assert sample.power_w['VDD_IN'] == pytest.approx(4.984)
        assert sample.power_w['VDD_SOC'] == pytest.approx(4.984 * 0.288)
        now_s += 0.02 * OTHERS_PERIOD_S
        assert meter.read().power_w['VDD_SOC'] == pytest.approx(4.984)


def test_values_change_under_open_files(tmp_path: Path) -> None:
    tree = orin_nano(tmp_path)
    with Ina3221Meter(tree.files) as meter:
        meter.read()
        tree.write(f'{ORIN_NANO}/curr1_input', 3000)
        assert meter.read().power_w['VDD_IN'] == pytest.approx(4.984 * 3.0)


@pytest.mark.parametrize(
    ('shunt_uohm', 'lowest_ma'),
    [(None, -100), (10_000, -12), (5_000, -24), (2_000, -60), (1_000, -120), (0, -100),
     (3, -100), ('soon', -100)],
)  # fmt: skip
def test_a_current_below_0_by_the_offset_of_its_shunt_voltage_is_none(
    shunt_uohm: object, lowest_ma: int, tmp_path: Path
) -> None:
    tree = orin_nano(tmp_path)
    if shunt_uohm is not None:
        tree.write(f'{ORIN_NANO}/shunt1_resistor', shunt_uohm)
    with Ina3221Meter(tree.files) as meter:
        tree.write(f'{ORIN_NANO}/curr1_input', lowest_ma)
        sample = meter.read()
        assert sample.power_w['VDD_IN'] == 0.0
        assert not sample.trouble
        tree.write(f'{ORIN_NANO}/curr1_input', lowest_ma - 1)
        with pytest.raises(HardwareError, match=rf'reads {lowest_ma - 1}, .*more than its offset'):
            meter.read()


def test_a_power_below_0_by_as_much_is_none(tmp_path: Path) -> None:
    tree = tx2(tmp_path)
    (power,) = tree.files.find('/sys/bus/i2c/drivers/ina3221x/0-0041/iio:device1/in_power0_input')
    with Ina3221Meter(tree.files) as meter:  # VDD_IN, of 19.104 V
        tree.write(power, -1910)
        assert meter.read().power_w['VDD_IN'] == 0.0
        tree.write(power, -1911)
        with pytest.raises(HardwareError, match='more than its offset'):
            meter.read()


@pytest.mark.parametrize('ma', [-8, -20])
def test_an_idle_rail_below_0_does_not_lose_the_boards_energy(ma: int, tmp_path: Path) -> None:
    tree = agx_xavier_jetpack5(tmp_path)
    tree.write('/sys/bus/i2c/drivers/ina3221/1-0041/hwmon/hwmon3/curr1_input', ma)  # CV
    sampler = MeterSampler(Ina3221Meter(tree.files), 100.0)
    for _ in range(3):
        sampler.sample()
    reading = sampler.read()
    sampler.close()
    assert (reading.trouble, reading.gap_s) == ('', 0.0)
    assert reading.power_w == pytest.approx(EXPECTED['agx_xavier_jetpack5'][0])


@pytest.mark.parametrize(
    ('name', 'text', 'says'),
    [('in3_input', '-8', 'below 0: not'), ('curr3_input', '-101', 'below 0 by more'),
     ('curr3_input', '', 'not a whole number'), ('curr3_input', 'nan', 'not a whole number'),
     ('curr3_input', '4,2', 'not a whole number'),
     ('curr3_input', '999999999', 'more than a rail can carry')],
)  # fmt: skip
def test_what_cannot_be_believed_is_told_and_not_filled(
    name: str, text: str, says: str, tmp_path: Path
) -> None:
    tree = orin_nano(tmp_path)
    with Ina3221Meter(tree.files, now_s=count().__next__) as meter:
        meter.read()
        tree.write(f'{ORIN_NANO}/{name}', text)
        sample = meter.read()
        assert 'VDD_SOC' not in sample.power_w
        assert says in sample.trouble['VDD_SOC']
        assert 'VDD_IN' in sample.power_w
        tree.write(f'{ORIN_NANO}/{name.replace("3", "1")}', text)
        with pytest.raises(HardwareError, match=says):
            meter.read()


@settings(max_examples=30, deadline=None)  # each builds a tree
@given(st.binary(max_size=80))
def test_whatever_an_attribute_holds_is_a_number_or_told(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    tree = orin_nano(tmp_path_factory.mktemp('orin_nano'))
    (tree.root / f'{ORIN_NANO}/curr3_input'.lstrip('/')).write_bytes(data)
    with Ina3221Meter(tree.files) as meter:
        sample = meter.read()
        assert ('VDD_SOC' in sample.power_w) != ('VDD_SOC' in sample.trouble)
        assert sample.power_w.get('VDD_SOC', 0.0) >= 0.0


def test_a_rail_that_disappears_is_told_and_comes_back(tmp_path: Path) -> None:
    tree = agx_orin(tmp_path)
    with Ina3221Meter(tree.files, now_s=count().__next__) as meter:
        meter.read()
        tree.remove(f'{AGX_ORIN}/curr2_input')
        sample = read_until_seen(meter)
        assert 'No such file' in sample.trouble['VDDQ_VDD2_1V8AO']
        assert 'VDDQ_VDD2_1V8AO' in meter.rails
        tree.write(f'{AGX_ORIN}/curr2_input', 300)
        assert meter.read().power_w['VDDQ_VDD2_1V8AO'] == pytest.approx(4.992 * 0.3)


def test_a_replaced_file_is_read_anew(tmp_path: Path) -> None:
    tree = orin_nano(tmp_path)
    with Ina3221Meter(tree.files) as meter:
        meter.read()
        tree.remove(f'{ORIN_NANO}/curr1_input')
        tree.write(f'{ORIN_NANO}/curr1_input', 100)
        assert read_until_seen(meter).power_w['VDD_IN'] == pytest.approx(0.4984)


def test_a_machine_without_monitors_is_told(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match='no INA3221 power monitor'):
        Ina3221Meter(bare(tmp_path).files)


def test_rails_of_an_unknown_board_are_not_added_up(tmp_path: Path) -> None:
    tree: Tree = tx2(tmp_path)
    tree.remove('/sys/bus/i2c/drivers/ina3221x/0-0041')
    with pytest.raises(HardwareError, match=r'VDD_SYS_GPU.*no board known'):
        Ina3221Meter(tree.files)


@pytest.mark.parametrize('layout', LAYOUTS, ids=lambda layout: layout.boards)
def test_a_layout_is_found_by_its_own_rails(layout) -> None:
    assert layout_of({*layout.total, layout.gpu, layout.cpu, 'another'}) is layout
