"""The CPU's clock: several policies, drivers without levels, bounds applied late."""

from __future__ import annotations

import errno
from pathlib import Path

import hardware_trees
import pytest
from hardware_kernel_files import KernelFiles
from hardware_trees import Tree

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.cpufreq_gpu_clock import FOLDER, CpufreqGpuClock


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return hardware_trees.pc(tmp_path / 'machine')


def bounds(tree: Tree, policy: int) -> tuple[str, str]:
    folder = f'{FOLDER}/policy{policy}'
    return tree.read(f'{folder}/scaling_min_freq'), tree.read(f'{folder}/scaling_max_freq')


def test_all_policies_are_set_together_in_khz(tree: Tree) -> None:
    clock = CpufreqGpuClock(KernelFiles(tree.root))
    assert clock.available_frequencies_hz == (0.8e9, 1.2e9, 1.8e9, 2.4e9)
    assert clock.set_frequency(1e9) == 1.2e9
    assert [bounds(tree, policy) for policy in range(4)] == [('1200000', '1200000')] * 4
    assert clock.limits_hz() == (1.2e9, 1.2e9)
    assert clock.frequency_hz() == 1.2e9


def test_nothing_but_the_bounds_is_written(tree: Tree) -> None:
    before = tree.contents()
    CpufreqGpuClock(tree.files).set_frequency(1e9)
    changed = {path for path, text in tree.contents().items() if text != before[path]}
    assert {path.rpartition('/')[2] for path in changed} == {'scaling_min_freq', 'scaling_max_freq'}


def test_a_policy_that_refuses_undoes_the_others(tree: Tree) -> None:
    class LastRefuses(KernelFiles):
        def write(self, path: str, text: str) -> None:
            if 'policy3' in path:
                raise OSError(errno.EBUSY, 'busy', path)
            super().write(path, text)

    clock = CpufreqGpuClock(LastRefuses(tree.root))
    with pytest.raises(HardwareError, match=r'policy3/scaling_m.*busy'):
        clock.set_frequency(1e9)
    assert [bounds(tree, policy) for policy in range(4)] == [('800000', '2400000')] * 4


def test_of_several_kinds_of_cores_the_fastest_are_set(tree: Tree) -> None:
    for policy in (0, 1):
        folder = f'{FOLDER}/policy{policy}'
        tree.write(f'{folder}/scaling_available_frequencies', '600000 1000000')
        tree.write(f'{folder}/scaling_min_freq', 600000)
        tree.write(f'{folder}/scaling_max_freq', 1000000)
    clock = CpufreqGpuClock(KernelFiles(tree.root))
    assert clock.device == FOLDER
    clock.set_frequency(1.8e9)
    assert bounds(tree, 0) == ('600000', '1000000')
    assert bounds(tree, 3) == ('1800000', '1800000')


def test_device_selects_one_policy(tree: Tree) -> None:
    clock = CpufreqGpuClock(KernelFiles(tree.root), 'policy2')
    clock.set_frequency(0.8e9)
    assert [bounds(tree, policy)[1] for policy in range(4)] == [
        '2400000', '2400000', '800000', '2400000',
    ]  # fmt: skip
    assert clock.device == CpufreqGpuClock(tree.files, clock.device).device == f'{FOLDER}/policy2'
    with pytest.raises(HardwareError, match=r"'policy9'.*policy0, policy1, policy2, policy3"):
        CpufreqGpuClock(tree.files, 'policy9')


@pytest.mark.parametrize('driver', ['intel_pstate', 'amd-pstate', 'amd-pstate-epp', 'cppc_cpufreq'])
def test_a_driver_without_levels_is_read_and_says_why_it_is_not_set(
    tmp_path: Path, driver: str
) -> None:
    clock = CpufreqGpuClock(hardware_trees.pc(tmp_path, driver).files)
    assert clock.available_frequencies_hz == ()
    assert f'the driver {driver} lists no frequencies' in clock.access()
    assert clock.frequency_hz() == 0.8e9
    assert clock.limits_hz() == (0.8e9, 2.4e9)
    with pytest.raises(HardwareError, match='no levels'):
        clock.set_frequency(1e9)


def test_no_policy_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match=f'{tmp_path}{FOLDER}; policies there: none'):
        CpufreqGpuClock(hardware_trees.bare(tmp_path).files)


def test_bounds_that_the_kernel_applies_late_are_awaited(tree: Tree) -> None:
    kernel = KernelFiles(tree.root)
    clock = CpufreqGpuClock(kernel, 'policy0')
    clock.set_frequency(0.8e9)
    kernel.late_reads = 3
    assert clock.set_frequency(2.4e9) == 2.4e9
    assert clock.limits_hz() == (2.4e9, 2.4e9)


def test_ranges_and_governors_come_back(tree: Tree) -> None:
    kernel = KernelFiles(tree.root)
    clock = CpufreqGpuClock(kernel)
    kernel.write(f'{FOLDER}/policy1/scaling_max_freq', '1800000')
    state = clock.state()
    clock.set_frequency(0.8e9)
    kernel.write(f'{FOLDER}/policy2/scaling_governor', 'performance')
    clock.restore(state)
    assert clock.state() == state
    assert bounds(tree, 1) == ('800000', '1800000')


def test_a_state_with_one_damaged_policy_writes_nothing(tree: Tree) -> None:
    kernel = KernelFiles(tree.root)
    clock = CpufreqGpuClock(kernel)
    clock.set_frequency(0.8e9)
    state = {**clock.state(), 'policy3/scaling_max_freq': '1'}
    kernel.writes.clear()
    with pytest.raises(HardwareError, match='policy3'):
        clock.restore(state)
    assert kernel.writes == []


def test_the_other_policies_come_back_when_one_is_gone(tree: Tree) -> None:
    kernel = KernelFiles(tree.root)
    clock = CpufreqGpuClock(kernel)
    state = clock.state()
    clock.set_frequency(0.8e9)

    class FirstRefuses(KernelFiles):
        def write(self, path: str, text: str) -> None:
            if 'policy0' in path:
                raise OSError(errno.ENODEV, 'gone', path)
            super().write(path, text)

    with pytest.raises(HardwareError, match='policy0'):
        CpufreqGpuClock(FirstRefuses(tree.root)).restore(state)
    assert [bounds(tree, policy)[1] for policy in range(4)] == [
        '800000', '2400000', '2400000', '2400000',
    ]  # fmt: skip


class Offline(KernelFiles):
    """A machine some of whose policies have all their processors switched off."""

    def __init__(self, root: Path, *off: int) -> None:
        super().__init__(root)
        self.off = [f'/policy{number}/' for number in off]

    def read(self, path: str) -> str:
        self._check(path)
        return super().read(path)

    def write(self, path: str, text: str) -> None:
        self._check(path)
        super().write(path, text)

    def _check(self, path: str) -> None:
        if any(part in path for part in self.off):
            raise OSError(errno.EBUSY, 'Device or resource busy', path)


WHOLE = ('800000', '2400000')
PINNED = ('800000', '800000')


def test_a_policy_that_goes_offline_keeps_its_record_until_it_is_back(
    tree: Tree, tmp_path: Path
) -> None:
    before, record = tree.contents(), tmp_path / 'found'
    kernel = Offline(tree.root)
    guard = ClockGuard(CpufreqGpuClock(kernel), record)
    guard.set_frequency(0.8e9)
    kernel.off = ['/policy2/']
    with pytest.raises(HardwareError, match=r'policy2.*busy'):
        guard.close()
    assert [bounds(tree, policy) for policy in range(4)] == [WHOLE, WHOLE, PINNED, WHOLE]
    assert record.exists()
    with ClockGuard(CpufreqGpuClock(kernel), record) as too_early:
        with pytest.raises(HardwareError, match=r'policy2.*busy'):
            too_early.restore_leftover()
        with pytest.raises(HardwareError, match=r'policy2.*busy'):
            too_early.set_frequency(1e9)
    assert record.exists()
    kernel.off = []
    with ClockGuard(CpufreqGpuClock(kernel), record) as later:
        assert later.restore_leftover()
    assert tree.contents() == before
    assert not record.exists()


@pytest.mark.parametrize('off', [(), (0,), (3,), (1, 2), (0, 1, 2, 3)])
def test_its_name_is_the_same_whichever_policies_can_be_read(
    off: tuple[int, ...], tree: Tree
) -> None:
    clock = CpufreqGpuClock(Offline(tree.root, *off))
    assert clock.device == CpufreqGpuClock(tree.files).device
    assert CpufreqGpuClock(tree.files, clock.device).limits_hz() == (0.8e9, 2.4e9)


def test_a_state_is_restored_by_a_clock_that_started_without_one_of_its_policies(
    tree: Tree,
) -> None:
    first = CpufreqGpuClock(tree.files)
    state = first.state()
    first.set_frequency(0.8e9)
    kernel = Offline(tree.root, 0)
    second = CpufreqGpuClock(kernel)
    with pytest.raises(HardwareError, match=r'policy0.*busy'):
        second.restore(state)
    assert [bounds(tree, policy) for policy in range(4)] == [PINNED, WHOLE, WHOLE, WHOLE]
    kernel.off = []
    second.restore(state)
    assert bounds(tree, 0) == WHOLE


def test_a_policy_that_was_not_restored_is_not_forgotten_when_the_clock_is_released(
    tree: Tree,
) -> None:
    state = CpufreqGpuClock(tree.files).state()
    kernel = Offline(tree.root, 2)
    clock = CpufreqGpuClock(kernel)
    clock.release()
    with pytest.raises(HardwareError, match=r'policy2.*busy'):
        clock.restore(state)
    with pytest.raises(HardwareError, match=r'policy2.*busy'):
        clock.release()


def test_a_policy_that_came_after_the_start_is_left_alone(tree: Tree) -> None:
    kernel = Offline(tree.root, 3)
    clock = CpufreqGpuClock(kernel)
    kernel.off = []
    clock.set_frequency(0.8e9)
    assert {name.partition('/')[0] for name in clock.state()} == {'policy0', 'policy1', 'policy2'}
    assert bounds(tree, 3) == WHOLE


def test_while_a_policy_is_offline_nothing_is_set_and_the_others_tell_the_range(
    tree: Tree,
) -> None:
    kernel = Offline(tree.root)
    clock = CpufreqGpuClock(kernel)
    clock.set_frequency(1.2e9)
    kernel.off = ['/policy1/']
    assert clock.available_frequencies_hz == ()
    assert 'busy' in clock.access()
    assert clock.limits_hz() == (1.2e9, 1.2e9)
    with pytest.raises(HardwareError, match=r'policy1.*busy'):
        clock.release()
    assert [bounds(tree, policy) for policy in (0, 2, 3)] == [WHOLE] * 3
    kernel.off = ['/policy']
    with pytest.raises(HardwareError, match='busy'):
        clock.limits_hz()


@pytest.mark.parametrize(
    'state',
    [
        {},
        {'policyx/scaling_min_freq': '800000'},
        {'../cpu0/scaling_min_freq': '800000'},
        {'policy0': '1'},
    ],
)
def test_what_names_no_policies_is_no_state(state: dict[str, str], tree: Tree) -> None:
    kernel = KernelFiles(tree.root)
    for device in ('', 'policy0'):
        with pytest.raises(HardwareError, match='is no state of this'):
            CpufreqGpuClock(kernel, device).restore(state)
    assert kernel.writes == []


def test_a_clock_of_one_policy_restores_no_other(tree: Tree) -> None:
    state = CpufreqGpuClock(tree.files).state()
    with pytest.raises(HardwareError, match='is no state of this clock'):
        CpufreqGpuClock(tree.files, 'policy0').restore(state)


def test_a_state_caps_by_its_lowest_policy(tree: Tree) -> None:
    tree.write(f'{FOLDER}/policy1/scaling_max_freq', 1800000)
    kernel = Offline(tree.root)
    clock = CpufreqGpuClock(kernel)
    state = clock.state()
    assert clock.cap_hz(state) == 1.8e9
    kernel.off = ['/policy1/']
    assert clock.cap_hz(state) == 2.4e9
    kernel.off = ['/policy']
    with pytest.raises(HardwareError, match='busy'):
        clock.cap_hz(state)
