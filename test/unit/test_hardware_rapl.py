"""A processor's energy counters: domains, wraps, a driver loaded again, permissions."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hardware_trees import Tree, bare, pc

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.power.meter_sampler import MeterSampler
from visionscaling_ros.hardware.power.power_meter import Scope
from visionscaling_ros.hardware.power.rapl_meter import RaplMeter

PACKAGE = '/sys/class/powercap/intel-rapl:0'
RANGE_UJ = 262_143_328_850


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return pc(tmp_path)


def add_zone(tree: Tree, zone: str, name: str, energy_uj: int) -> None:
    folder = f'/sys/class/powercap/{zone}'
    tree.write(f'{folder}/name', name)
    tree.write(f'{folder}/energy_uj', energy_uj)
    tree.write(f'{folder}/max_energy_range_uj', RANGE_UJ)


def test_the_package_is_the_total_and_dram_is_beside_it(tree: Tree) -> None:
    with RaplMeter(tree.files) as meter:
        assert meter.rails == (
            'package-0', 'package-0/core', 'package-0/uncore', 'package-0/dram'
        )  # fmt: skip
        assert meter.total_rails == ('package-0',)
        assert meter.scope is Scope.CPU


def test_all_packages_are_the_total_each_with_parts_of_its_own(tree: Tree) -> None:
    add_zone(tree, 'intel-rapl:1', 'package-1', 1)
    add_zone(tree, 'intel-rapl:1:0', 'dram', 1)
    add_zone(tree, 'intel-rapl-mmio:0', 'package-0', 1)
    with RaplMeter(tree.files) as meter:
        assert meter.total_rails == ('package-0', 'package-1')
        assert {'package-0/dram', 'package-1/dram'} <= set(meter.rails)


@pytest.mark.parametrize(('energy_uj', 'scope'), [(5, Scope.BOARD), (0, Scope.CPU)])
def test_psys_is_the_board_where_it_is_wired(tree: Tree, energy_uj: int, scope: Scope) -> None:
    add_zone(tree, 'intel-rapl:1', 'psys', energy_uj)
    with RaplMeter(tree.files) as meter:
        assert meter.scope is scope
        assert meter.total_rails == (('psys',) if energy_uj else ('package-0',))


def test_energy_is_what_the_counter_grows_by(tree: Tree) -> None:
    with RaplMeter(tree.files) as meter:
        tree.write(f'{PACKAGE}/energy_uj', 52_816_433_000 + 2_500_000)
        assert meter.read().energy_j['package-0'] == pytest.approx(2.5)


def test_a_wrap_loses_nothing(tree: Tree) -> None:
    tree.write(f'{PACKAGE}/energy_uj', RANGE_UJ - 1_000_000)
    with RaplMeter(tree.files) as meter:
        tree.write(f'{PACKAGE}/energy_uj', 999_999)
        sample = meter.read()
        assert sample.energy_j['package-0'] == pytest.approx(2.0)
        assert not sample.restarted


def test_a_driver_that_was_loaded_again_is_a_gap_and_no_energy(tree: Tree) -> None:
    sampler = MeterSampler(RaplMeter(tree.files), 100.0)
    sampler.sample()
    tree.write(f'{PACKAGE}/energy_uj', 1_000)
    sampler.sample()
    tree.write(f'{PACKAGE}/energy_uj', 500_000)
    sampler.sample()
    reading = sampler.read()
    assert reading.gaps == 1
    assert reading.gap_s > 0.0
    assert reading.energy_j == pytest.approx(0.499)
    sampler.close()


@pytest.mark.parametrize('range_uj', ['0', '-1', 'none', ''])
def test_without_a_range_a_fall_is_a_restart(tree: Tree, range_uj: str) -> None:
    tree.write(f'{PACKAGE}/max_energy_range_uj', range_uj)
    with RaplMeter(tree.files) as meter:
        tree.write(f'{PACKAGE}/energy_uj', 5)
        assert meter.read().restarted == {'package-0'}


def test_a_part_that_goes_is_told(tree: Tree) -> None:
    with RaplMeter(tree.files) as meter:
        tree.remove(f'{PACKAGE}:0/energy_uj')
        sample = meter.read()
        assert 'package-0/core' in sample.trouble
        assert 'package-0' in sample.energy_j


class RootOnly(DeviceFiles):
    """Refuses the counters as the kernel does to users."""

    def real(self, path: str) -> Path:
        if path.endswith('energy_uj') and os.path.lexists(super().real(path)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return super().real(path)


class Listed(RootOnly):
    """As sysfs: whoever may not read a file still sees that it is there."""

    def exists(self, path: str) -> bool:
        return DeviceFiles(self.root).exists(path)


def test_a_counter_for_root_only_is_told_with_what_to_do(tree: Tree) -> None:
    with pytest.raises(HardwareError, match=r'Permission denied.*CVE-2020-8694.*chmod o\+r'):
        RaplMeter(Listed(tree.root))


def test_a_machine_without_counters_is_told(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match='intel_rapl_msr'):
        RaplMeter(bare(tmp_path).files)
