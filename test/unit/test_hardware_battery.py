"""A battery: only what it gives counts, whatever its driver's sign."""

from __future__ import annotations

from pathlib import Path

import pytest
from hardware_trees import Tree, bare, pc

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.power.battery_meter import BatteryMeter
from visionscaling_ros.hardware.power.fuel_check import CHECK_PERIOD_S, FuelCheck
from visionscaling_ros.hardware.power.meter_sampler import MeterSampler

BATTERY = '/sys/class/power_supply/BAT0'
OTHER = '/sys/class/power_supply/BAT1'


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return pc(tmp_path)


def add(tree: Tree, folder: str, **values: object) -> None:
    for name, value in values.items():
        tree.write(f'{folder}/{name}', value)


@pytest.mark.parametrize('sign', [1, -1])
def test_current_times_voltage_whatever_the_sign(tree: Tree, sign: int) -> None:
    tree.write(f'{BATTERY}/current_now', sign * 1_250_000)
    with BatteryMeter(tree.files) as meter:
        assert meter.read().power_w['BAT0'] == pytest.approx(14.79)


@pytest.mark.parametrize('power_uw', [9_000_000, -9_000_000])
def test_power_is_preferred_where_it_is_told(tree: Tree, power_uw: int) -> None:
    tree.write(f'{BATTERY}/power_now', power_uw)
    with BatteryMeter(tree.files) as meter:
        assert meter.read().power_w['BAT0'] == pytest.approx(9.0)


@pytest.mark.parametrize('status', ['Charging', 'Full', 'Not charging', 'Unknown', ''])
def test_what_is_not_discharged_is_told_and_not_counted(tree: Tree, status: str) -> None:
    with BatteryMeter(tree.files) as meter:
        meter.read()
        tree.write(f'{BATTERY}/status', status)
        with pytest.raises(HardwareError, match=f'BAT0 is not discharged .status {status}.'):
            meter.read()


def test_time_on_the_charger_is_a_gap(tree: Tree) -> None:
    now_s = 0.0
    sampler = MeterSampler(BatteryMeter(tree.files), now_s=lambda: now_s)
    tree.write(f'{BATTERY}/status', 'Charging')
    for now_s in (10.0, 20.0, 30.0):  # noqa: B007 read by the sampler
        sampler.sample()
    reading = sampler.read()
    assert (reading.energy_j, reading.gap_s, reading.gaps) == (0.0, 20.0, 1)
    assert 'is not discharged' in reading.trouble
    sampler.close()


def test_an_idle_battery_beside_one_in_use_counts(tree: Tree) -> None:
    add(tree, OTHER, type='Battery', status='Not charging', power_now=0)
    with BatteryMeter(tree.files) as meter:
        assert meter.total_rails == ('BAT0', 'BAT1')
        sample = meter.read()
        assert sample.power_w == {'BAT0': pytest.approx(14.79), 'BAT1': 0.0}
        assert not sample.trouble


def test_one_that_is_charged_by_the_other_is_not_counted(tree: Tree) -> None:
    add(tree, OTHER, type='Battery', status='Charging', power_now=5_000_000)
    with BatteryMeter(tree.files) as meter:
        sample = meter.read()
        assert set(sample.power_w) == {'BAT0'}
        assert 'BAT1' in sample.trouble


def test_batteries_of_mice_and_empty_bays_are_none_of_the_computers(tree: Tree) -> None:
    add(tree, OTHER, type='Battery', scope='Device', status='Discharging', power_now=1)
    add(tree, '/sys/class/power_supply/BAT2', type='Battery', present=0, status='Unknown')
    with BatteryMeter(tree.files) as meter:
        assert meter.rails == ('BAT0',)


def test_a_battery_without_power_or_current_is_told(tree: Tree) -> None:
    tree.remove(f'{BATTERY}/current_now')
    with (
        BatteryMeter(tree.files) as meter,
        pytest.raises(HardwareError, match='neither power_now nor current_now'),
    ):
        meter.read()


def test_an_impossible_power_is_not_counted(tree: Tree) -> None:
    tree.write(f'{BATTERY}/power_now', 10**13)
    with BatteryMeter(tree.files) as meter, pytest.raises(HardwareError, match='not counted'):
        meter.read()


def test_a_machine_without_a_battery_is_told(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match='no battery'):
        BatteryMeter(bare(tmp_path).files)


class TestFuelCheck:
    """20 W for an hour out of 100 Wh."""

    def run(self, tree: Tree, power_w: float, **gauge: tuple[str, float]) -> str:
        """What is doubted after an hour.

        :param gauge: the attribute, what it starts at, and what a second takes of it.
        """
        ((name, (start, per_s)),) = gauge.items()
        tree.write(f'{BATTERY}/{name}', int(start))
        check = FuelCheck(tree.files, BATTERY)
        doubt = ''
        for second in range(0, 3600, 10):
            tree.write(f'{BATTERY}/{name}', int(float(start) - per_s * second))
            doubt = check.update(float(second), power_w)
        check.close()
        return doubt

    def test_a_power_that_agrees_with_the_gauge_is_believed(self, tree: Tree) -> None:
        assert self.run(tree, 20.0, energy_now=(1e8, 20e6 / 3600)) == ''
        assert self.run(tree, 15.0, energy_now=(1e8, 20e6 / 3600)) == ''

    def test_one_that_is_a_thousandfold_off_is_doubted(self, tree: Tree) -> None:
        assert 'its gauge fell' in self.run(tree, 0.02, energy_now=(1e8, 20e6 / 3600))
        assert 'its gauge fell' in self.run(tree, 2e4, energy_now=(1e8, 20e6 / 3600))

    def test_charge_is_taken_at_the_voltage(self, tree: Tree) -> None:
        amperes = 20.0 / 11.832
        assert self.run(tree, 20.0, charge_now=(8e6, 1e6 * amperes / 3600)) == ''
        assert 'its gauge fell' in self.run(tree, 2.0, charge_now=(8e6, 1e6 * amperes / 3600))

    @pytest.mark.parametrize(
        ('told', 'volts', 'doubted'),
        [
            (1.0, (11.9, 11.3), False),
            (1.0, (11.3, 11.9), False),
            (1.0, (12.6, 9.0), False),
            (0.3, (11.9, 11.3), True),
            (3.0, (11.9, 11.3), True),
        ],
    )
    def test_a_voltage_that_sags_at_a_load_step_is_not_taken_for_charge(
        self, tree: Tree, told: float, volts: tuple[float, float], doubted: bool
    ) -> None:
        """10 W, then 45 W, of which the meter tells a share; the charge is that of the truth."""
        charge_uah, doubts = 4.5e6, set()
        tree.write(f'{BATTERY}/charge_now', int(charge_uah))
        tree.write(f'{BATTERY}/voltage_now', int(1e6 * volts[0]))
        check = FuelCheck(tree.files, BATTERY)
        for second in range(900):
            power_w, voltage = (10.0, volts[0]) if second < 400 else (45.0, volts[1])
            charge_uah -= 1e6 * power_w / voltage / 3600
            tree.write(f'{BATTERY}/charge_now', int(charge_uah))
            tree.write(f'{BATTERY}/voltage_now', int(1e6 * voltage))
            doubts.add(bool(check.update(float(second), told * power_w)))
        check.close()
        assert (True in doubts) == doubted

    def test_a_gauge_that_rises_starts_anew(self, tree: Tree) -> None:
        assert self.run(tree, 20.0, energy_now=(1e7, -20e6 / 3600)) == ''

    def test_a_doubted_power_is_still_told(self, tree: Tree) -> None:
        tree.write(f'{BATTERY}/energy_now', 50_000_000)
        with BatteryMeter(tree.files) as meter:
            (battery,) = meter._batteries
            battery.check.update(0.0, 1.0)
            tree.write(f'{BATTERY}/energy_now', 40_000_000)
            assert 'its gauge fell' in battery.check.update(CHECK_PERIOD_S, 1.0)

    def test_without_a_gauge_there_is_no_doubt(self, tree: Tree) -> None:
        check = FuelCheck(tree.files, BATTERY)
        assert check.update(0.0, 1.0) == check.update(100.0, 1e9) == ''
