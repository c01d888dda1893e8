"""A Jetson's GPU clock on the boards' file trees, and what the kernel refuses."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hardware_trees
import pytest
from hardware_kernel_files import KernelFiles
from hardware_trees import JETSONS, Tree
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock, find_gpus
from visionscaling_ros.hardware.device_files import DeviceFiles

NODES = {
    'nano': '57000000.gpu',
    'tx2': '17000000.gp10b',
    'agx_xavier': '17000000.gv11b',
    'agx_xavier_jetpack5': '17000000.gv11b',
    'agx_orin_jetpack5': '17000000.ga10b',
    'agx_orin': '17000000.gpu',
    'orin_nano': '17000000.gpu',
    'thor': 'gpu-gpc-0',
}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return hardware_trees.agx_orin(tmp_path / 'machine')


@pytest.fixture
def kernel(tree: Tree) -> KernelFiles:
    return KernelFiles(tree.root)


@pytest.fixture
def clock(kernel: KernelFiles) -> DevfreqGpuClock:
    return DevfreqGpuClock(kernel)


def bounds(tree: Tree) -> tuple[int, int]:
    return int(tree.read(f'{tree.gpu}/min_freq')), int(tree.read(f'{tree.gpu}/max_freq'))


def as_user(ask: Callable[[DevfreqGpuClock], str]) -> str:
    """What the clock answers to a user who is not root; the error's words if it raises."""
    ends = os.pipe()
    child = os.fork()
    if not child:
        try:
            if os.getuid() == 0:
                os.setuid(65534)
            # from the tree's own folder: those above it may be closed to that user
            said = ask(DevfreqGpuClock(DeviceFiles(Path('.'))))
        except Exception as error:
            said = f'{type(error).__name__}: {error}'
        os.write(ends[1], said.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(ends[1])
    with os.fdopen(ends[0], encoding='utf-8') as pipe:
        return pipe.read()


class TestFinding:
    @pytest.mark.parametrize('name', JETSONS)
    def test_each_board_has_its_gpu_with_its_levels(self, name: str, tmp_path: Path) -> None:
        tree = JETSONS[name](tmp_path)
        clock = DevfreqGpuClock(tree.files)
        assert clock.device == tree.gpu == f'/sys/class/devfreq/{NODES[name]}'
        assert clock.available_frequencies_hz == tuple(map(float, tree.levels_hz))

    @pytest.mark.parametrize('name', JETSONS)
    def test_video_decoders_and_memory_are_no_gpus(self, name: str, tmp_path: Path) -> None:
        found = find_gpus(JETSONS[name](tmp_path).files)
        assert not [path for path in found if 'nvdec' in path or 'bwmgr' in path]

    def test_of_several_the_graphics_one_comes_first_and_device_selects(
        self, tmp_path: Path
    ) -> None:
        files = hardware_trees.thor(tmp_path).files
        assert [path.rpartition('/')[2] for path in find_gpus(files)] == ['gpu-gpc-0', 'gpu-nvd-0']
        assert DevfreqGpuClock(files, 'gpu-nvd-0').device == '/sys/class/devfreq/gpu-nvd-0'
        path = '/sys/class/devfreq/gpu-gpc-0'
        assert DevfreqGpuClock(files, path).device == path

    def test_a_node_of_another_name_counts_by_its_device_tree_name(self, tmp_path: Path) -> None:
        tree = Tree('other', tmp_path)
        tree.write('/sys/class/devfreq/devfreq3/available_frequencies', '1000 2000')
        assert find_gpus(tree.files) == []
        tree.write('/sys/class/devfreq/devfreq3/device/of_node/name', 'ga10b\0')
        assert find_gpus(tree.files) == ['/sys/class/devfreq/devfreq3']

    def test_no_gpu_is_told_with_where_it_was_looked_for(self, tmp_path: Path) -> None:
        files = hardware_trees.bare(tmp_path).files
        with pytest.raises(HardwareError, match=f'{tmp_path}/sys/class/devfreq; GPUs there: none'):
            DevfreqGpuClock(files)

    def test_a_wrong_device_is_told_with_those_there(self, tree: Tree) -> None:
        with pytest.raises(HardwareError, match=r"'nvdec'.*17000000\.gpu"):
            DevfreqGpuClock(tree.files, 'nvdec')


class TestSetting:
    def test_nothing_but_the_two_bounds_is_written(self, tree: Tree) -> None:
        before = tree.contents()
        DevfreqGpuClock(tree.files).set_frequency(600e6)
        changed = {path for path, text in tree.contents().items() if text != before[path]}
        assert {path.rpartition('/')[2] for path in changed} == {'min_freq', 'max_freq'}
        assert all('17000000.gpu' in path for path in changed)
        assert bounds(tree) == (612_000_000, 612_000_000)

    @given(st.data())
    @settings(deadline=None)
    def test_the_kernel_never_sees_a_lowest_above_the_highest(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        tree = hardware_trees.orin_nano(tmp_path_factory.mktemp('machine'))
        kernel = KernelFiles(tree.root)  # refuses it
        clock = DevfreqGpuClock(kernel)
        stock = clock.state()
        for level in data.draw(st.lists(st.sampled_from(tree.levels_hz), max_size=6)):
            assert clock.set_frequency(level) == level
        clock.restore(stock)
        assert clock.state() == stock
        listed = {str(level) for level in tree.levels_hz}
        assert {text for _, text in kernel.writes} <= listed

    def test_levels_that_change_at_run_time_are_followed(
        self, tree: Tree, clock: DevfreqGpuClock
    ) -> None:
        tree.write(f'{tree.gpu}/available_frequencies', '306000000 408000000')
        assert clock.available_frequencies_hz == (306e6, 408e6)
        assert clock.set_frequency(1e9) == 408e6
        tree.write(f'{tree.gpu}/available_frequencies', '306000000 408000000 1020000000')
        assert clock.set_frequency(1e9) == 1020e6

    def test_unsorted_repeated_and_damaged_levels_are_made_good(
        self, tree: Tree, clock: DevfreqGpuClock
    ) -> None:
        tree.write(f'{tree.gpu}/available_frequencies', '408000000 x 306000000 0 -5 408000000')
        assert clock.available_frequencies_hz == (306e6, 408e6)

    def test_a_clock_that_runs_elsewhere_is_no_error(self, tree: Tree) -> None:
        clock = DevfreqGpuClock(tree.files)  # plain files: cur_freq stays
        assert clock.set_frequency(1e9) == 1020e6
        assert clock.frequency_hz() == 306e6

    def test_a_gpu_that_is_switched_off_has_no_known_clock(
        self, tree: Tree, clock: DevfreqGpuClock
    ) -> None:
        tree.write(f'{tree.gpu}/cur_freq', 0)
        assert math.isnan(clock.frequency_hz())

    def test_kernels_that_round_to_khz_read_back_the_level(
        self, tree: Tree, kernel: KernelFiles, clock: DevfreqGpuClock
    ) -> None:
        tree.write(f'{tree.gpu}/available_frequencies', '306000000 510000500 1300500000')
        kernel.held = {'min_freq': '510000000', 'max_freq': '510001000'}
        assert clock.set_frequency(400e6) == 510000500.0
        assert clock.limits_hz() == (510000500.0, 510000500.0)

    def test_no_bound_reads_as_the_outermost_level(
        self, tree: Tree, clock: DevfreqGpuClock
    ) -> None:
        tree.write(f'{tree.gpu}/min_freq', 0)
        tree.write(f'{tree.gpu}/max_freq', 2**63 - 1)
        assert clock.limits_hz() == (306e6, 1300.5e6)
        tree.write(f'{tree.gpu}/max_freq', 0)
        assert clock.limits_hz() == (306e6, 1300.5e6)


class TestRefusals:
    @pytest.mark.parametrize('name', ['min_freq', 'max_freq'])
    @pytest.mark.parametrize(
        ('code', 'words'),
        [
            (errno.EINVAL, 'the kernel refuses it'),
            (errno.EACCES, 'install-helper'),
            (errno.EPERM, 'install-helper'),
            (errno.EBUSY, 'busy'),
            (errno.EROFS, 'read-only'),
            (errno.ENODEV, 'gone'),
            (errno.EIO, 'Input/output error'),
        ],
    )
    @pytest.mark.parametrize('start_hz', [None, 306e6, 1300.5e6])
    def test_a_refused_bound_is_told_and_the_other_put_back(
        self, tree: Tree, kernel: KernelFiles, clock: DevfreqGpuClock, name: str, code: int,
        words: str, start_hz: float | None,
    ) -> None:  # fmt: skip
        if start_hz:
            clock.set_frequency(start_hz)
        before = bounds(tree)
        kernel.refused[name] = code
        with pytest.raises(HardwareError, match=rf'{name} does not take 816000000: .*{words}'):
            clock.set_frequency(816e6)
        assert bounds(tree) == before

    def test_a_gpu_that_disappears_is_told(self, tree: Tree, clock: DevfreqGpuClock) -> None:
        tree.remove(tree.gpu)
        assert clock.available_frequencies_hz == ()
        with pytest.raises(HardwareError, match='gone'):
            clock.frequency_hz()
        with pytest.raises(HardwareError, match='levels'):
            clock.set_frequency(1e9)
        assert 'not there' in clock.access()

    @pytest.mark.parametrize('held', [{'max_freq': '510000000', 'min_freq': '510000000'},
                                      {'max_freq': '1300500000'}])  # fmt: skip
    def test_another_value_read_back_is_told(
        self, kernel: KernelFiles, clock: DevfreqGpuClock, held: dict[str, str]
    ) -> None:
        kernel.held = held  # as heat or nvpmodel hold it
        with pytest.raises(HardwareError, match=r'wrote 816 to 816 MHz, reads back .*nvpmodel'):
            clock.set_frequency(816e6)

    def test_a_bound_that_is_no_number_is_told(self, tree: Tree, clock: DevfreqGpuClock) -> None:
        tree.write(f'{tree.gpu}/max_freq', 'rubbish')
        with pytest.raises(HardwareError, match=r"max_freq reads 'rubbish'"):
            clock.set_frequency(816e6)

    def test_a_user_without_permission_is_told_and_changes_nothing(
        self, tree: Tree, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tree.root)
        for name in ('min_freq', 'max_freq'):
            (tree.root / f'{tree.gpu[1:]}/{name}').chmod(0o444)
        before = tree.contents()
        said = as_user(lambda clock: clock.access())
        assert 'min_freq may not be written by this user: install the helper' in said
        said = as_user(lambda clock: str(clock.set_frequency(1e9)))
        assert said.startswith('HardwareError: ')
        assert 'min_freq does not take 1020000000: not permitted: install the helper' in said
        assert tree.contents() == before

    def test_access_says_what_to_install(
        self, tree: Tree, kernel: KernelFiles, clock: DevfreqGpuClock
    ) -> None:
        assert clock.access() == ''
        kernel.unwritable = {f'{tree.gpu}/max_freq'}
        assert 'max_freq' in clock.access()
        assert 'visionscaling clocks install-helper' in clock.access()
        assert 'udev' in clock.access()


class TestPowerMode:
    """A power mode bounds a Jetson's GPU by the file that sets it."""

    @pytest.fixture
    def guard(self, tree: Tree, clock: DevfreqGpuClock, tmp_path: Path) -> Iterator[ClockGuard]:
        tree.write(f'{tree.gpu}/max_freq', '612000000')
        with ClockGuard(clock, tmp_path / 'jetson.found') as guard:
            yield guard
        assert bounds(tree) == (306_000_000, 612_000_000)

    @pytest.mark.parametrize(
        ('wanted_hz', 'set_hz'), [(1300.5e6, 612e6), (613e6, 612e6), (500e6, 510e6)]
    )
    def test_it_caps_what_is_set(
        self, tree: Tree, guard: ClockGuard, wanted_hz: float, set_hz: float
    ) -> None:
        assert guard.set_frequency(wanted_hz) == set_hz
        assert bounds(tree) == (set_hz, set_hz)

    def test_it_still_caps_after_lower_levels_were_set(self, guard: ClockGuard) -> None:
        assert guard.set_frequency(306e6) == 306e6
        assert guard.set_frequency(1300.5e6) == 612e6


class TestRestoring:
    def test_the_governor_comes_back_too(
        self, tree: Tree, kernel: KernelFiles, clock: DevfreqGpuClock
    ) -> None:
        stock = tree.contents()
        state = clock.state()
        assert state['governor'] == 'nvhost_podgov'
        clock.set_frequency(816e6)
        kernel.write(f'{tree.gpu}/governor', 'performance')
        clock.restore(state)
        now = {**tree.contents()}
        moved = {path for path in now if now[path] != stock[path]}
        assert {path.rpartition('/')[2] for path in moved} == {'cur_freq'}

    def test_a_governor_that_is_right_is_not_written(
        self, kernel: KernelFiles, clock: DevfreqGpuClock
    ) -> None:
        clock.restore(clock.state())
        assert 'governor' not in {path.rpartition('/')[2] for path, _ in kernel.writes}

    def test_the_range_comes_back_even_when_the_governor_is_refused(
        self, tree: Tree, kernel: KernelFiles, clock: DevfreqGpuClock
    ) -> None:
        state, stock = clock.state(), bounds(tree)
        clock.set_frequency(816e6)
        kernel.write(f'{tree.gpu}/governor', 'userspace')
        kernel.refused['governor'] = errno.EBUSY
        with pytest.raises(HardwareError, match='governor does not take nvhost_podgov'):
            clock.restore(state)
        assert bounds(tree) == stock

    def test_levels_that_became_fewer_since_bound_what_is_in_force(
        self, tree: Tree, clock: DevfreqGpuClock
    ) -> None:
        state, stock = clock.state(), bounds(tree)
        tree.write(f'{tree.gpu}/available_frequencies', '306000000 408000000 510000000')
        clock.restore(state)
        assert bounds(tree) == stock
        assert clock.limits_hz() == (306e6, 510e6)

    @pytest.mark.parametrize('found', [('0', '0'), ('0', str(2**63 - 1)), ('1', '2000000000')])
    def test_no_bounds_come_back_as_they_were_written(
        self, tree: Tree, clock: DevfreqGpuClock, found: tuple[str, str]
    ) -> None:
        for name, value in zip(('min_freq', 'max_freq'), found, strict=True):
            tree.write(f'{tree.gpu}/{name}', value)
        state, stock = clock.state(), bounds(tree)
        clock.set_frequency(816e6)
        assert bounds(tree) == (816_000_000, 816_000_000)
        clock.restore(state)
        assert bounds(tree) == stock

    @pytest.mark.parametrize(
        'change',
        [
            {'min_freq': '-1'}, {'min_freq': '1e9'}, {'min_freq': ' 306000000'},
            {'max_freq': '3'}, {'max_freq': '9' * 30}, {'max_freq': '٣٠٦٠٠٠٠٠٠'},
            {'min_freq': '1300500000', 'max_freq': '306000000'},
            {'governor': 'evil'}, {'governor': ''}, {'governor': 'userspace performance'},
            {'governor': '../../../etc/passwd'}, {'max_freq': '306000000\n1'},
        ],
    )  # fmt: skip
    def test_a_damaged_state_is_refused_before_anything_is_written(
        self, kernel: KernelFiles, clock: DevfreqGpuClock, change: dict[str, str]
    ) -> None:
        state = {**clock.state(), **change}
        with pytest.raises(HardwareError, match='nothing was written'):
            clock.restore(state)
        assert kernel.writes == []

    @given(
        st.dictionaries(
            st.sampled_from(['min_freq', 'max_freq', 'governor', 'x']),
            st.one_of(
                st.text(max_size=12),
                st.integers(-5, 2**65).map(str),
                st.sampled_from(['userspace', 'performance', '306000000', '1300500000']),
            ),
        )
    )
    @settings(deadline=None)
    def test_whatever_a_state_says_only_a_range_and_a_governor_are_written(
        self, tmp_path_factory: pytest.TempPathFactory, state: dict[str, str]
    ) -> None:
        tree = hardware_trees.agx_orin(tmp_path_factory.mktemp('machine'))
        kernel = KernelFiles(tree.root)
        try:
            DevfreqGpuClock(kernel).restore(state)
        except HardwareError:
            assert kernel.writes == []
        for path, text in kernel.writes:
            if path.endswith('/governor'):
                assert text in hardware_trees.GOVERNORS
            else:
                assert path.rpartition('/')[2] in ('min_freq', 'max_freq')
                assert 0 <= int(text) < 2**63
        lowest_hz, highest_hz = DevfreqGpuClock(kernel).limits_hz()
        assert tree.levels_hz[0] <= lowest_hz <= highest_hz <= tree.levels_hz[-1]

    def test_without_levels_nothing_is_restored(self, tree: Tree, clock: DevfreqGpuClock) -> None:
        state = clock.state()
        tree.write(f'{tree.gpu}/available_frequencies', '')
        with pytest.raises(HardwareError, match='lists no frequencies'):
            clock.restore(state)
