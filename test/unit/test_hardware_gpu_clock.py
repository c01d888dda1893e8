"""What every GpuClock must do, and what the emulated one adds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import hardware_trees
import pytest
from fake_nvml import FakeNvml
from hardware_kernel_files import KernelFiles
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.clocks.cpufreq_gpu_clock import CpufreqGpuClock
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import (
    AGX_ORIN_FREQUENCIES_HZ,
    EmulatedGpuClock,
)
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock, level_for
from visionscaling_ros.hardware.clocks.no_gpu_clock import NoGpuClock
from visionscaling_ros.hardware.clocks.nvml_gpu_clock import NvmlGpuClock
from visionscaling_ros.hardware.clocks.read_only_gpu_clock import ReadOnlyGpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.nvml_session import NvmlSession

MakeClock = Callable[[Path], GpuClock]


def on_tree(build: hardware_trees.Build, make: Callable[[DeviceFiles], GpuClock]) -> MakeClock:
    return lambda folder: make(KernelFiles(build(folder / 'machine').root))


def on_fake_card(folder: Path) -> GpuClock:
    return NvmlGpuClock(NvmlSession(), DeviceFiles(folder))


CLOCKS: dict[str, MakeClock] = {
    'emulated': lambda folder: EmulatedGpuClock(folder / 'register'),
    'emulated, one level': lambda folder: EmulatedGpuClock(folder / 'register', [1e9]),
    'none': lambda folder: NoGpuClock(),
    **{
        f'jetson, {name}': on_tree(build, DevfreqGpuClock)
        for name, build in hardware_trees.JETSONS.items()
    },
    'cpufreq, one policy': on_tree(hardware_trees.cpu_board, CpufreqGpuClock),
    'cpufreq, a policy for each CPU': on_tree(hardware_trees.pc, CpufreqGpuClock),
    'cpufreq, no levels': on_tree(
        lambda root: hardware_trees.pc(root, 'intel_pstate'), CpufreqGpuClock
    ),
    'nvml': on_fake_card,
    'read-only': on_tree(
        hardware_trees.tx2, lambda files: ReadOnlyGpuClock(DevfreqGpuClock(files), 'not permitted')
    ),
}


@pytest.fixture(params=CLOCKS.values(), ids=CLOCKS.keys())
def clock(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> GpuClock:
    if request.param is on_fake_card:
        FakeNvml(tmp_path / 'nvml').install(monkeypatch)
    return request.param(tmp_path)


class TestConformance:
    def test_it_says_what_it_is(self, clock: GpuClock) -> None:
        assert clock.name
        assert clock.device

    def test_levels_are_positive_and_ascending(self, clock: GpuClock) -> None:
        levels = clock.available_frequencies_hz
        assert isinstance(levels, tuple)
        assert list(levels) == sorted(set(levels))
        assert all(level > 0.0 for level in levels)

    def test_its_frequency_is_a_level_or_unknown(self, clock: GpuClock) -> None:
        frequency_hz, levels = clock.frequency_hz(), clock.available_frequencies_hz
        assert math.isnan(frequency_hz) or frequency_hz in levels or (not levels and frequency_hz)

    def test_each_level_can_be_set_and_is_read_back(self, clock: GpuClock) -> None:
        for level in clock.available_frequencies_hz:
            assert clock.set_frequency(level) == level
            assert clock.frequency_hz() == level
            assert clock.limits_hz() in (None, (level, level))
            assert clock.slowdown >= 1.0

    def test_it_may_be_set_or_says_why_not(self, clock: GpuClock) -> None:
        assert isinstance(clock.access(), str)
        if clock.available_frequencies_hz:
            assert clock.access() == ''

    def test_reading_changes_nothing(self, clock: GpuClock) -> None:
        stock = clock.state()
        clock.keep_alive()
        _ = clock.available_frequencies_hz, clock.limits_hz(), clock.frequency_hz(), clock.slowdown
        assert clock.access() == clock.access()
        assert clock.state() == stock

    def test_a_state_is_text_by_name(self, clock: GpuClock) -> None:
        for name, value in clock.state().items():
            assert isinstance(name, str)
            assert isinstance(value, str)

    def test_a_frequency_between_levels_is_rounded_up(self, clock: GpuClock) -> None:
        levels = clock.available_frequencies_hz
        for low, high in itertools.pairwise(levels):
            assert clock.set_frequency((low + high) / 2) == high

    def test_above_the_highest_and_below_the_lowest(self, clock: GpuClock) -> None:
        levels = clock.available_frequencies_hz
        if levels:
            assert clock.set_frequency(2 * levels[-1]) == levels[-1]
            assert clock.set_frequency(levels[0] / 2) == levels[0]

    @pytest.mark.parametrize('frequency_hz', [0.0, -1.0, math.nan, math.inf])
    def test_no_frequency_is_refused_and_nothing_changes(
        self, clock: GpuClock, frequency_hz: float
    ) -> None:
        before = clock.state()
        with pytest.raises(InvalidValueError):
            clock.set_frequency(frequency_hz)
        assert clock.state() == before

    def test_without_levels_setting_is_a_hardware_error(self, clock: GpuClock) -> None:
        if not clock.available_frequencies_hz:
            with pytest.raises(HardwareError):
                clock.set_frequency(1e9)

    def test_a_state_can_be_brought_back(self, clock: GpuClock) -> None:
        levels = clock.available_frequencies_hz
        if levels:
            clock.set_frequency(levels[0])
        state, frequency_hz = clock.state(), clock.frequency_hz()
        if levels:
            clock.set_frequency(levels[-1])
        clock.restore(state)
        assert clock.state() == state
        assert clock.frequency_hz() == frequency_hz or not levels

    def test_release_brings_the_stock_state(self, clock: GpuClock) -> None:
        stock = clock.state()
        if clock.available_frequencies_hz:
            clock.set_frequency(clock.available_frequencies_hz[0])
        clock.release()
        clock.release()
        assert clock.state() == stock

    @pytest.mark.parametrize('state', [{}, {'rubbish': 'x'}, {'min_freq': '1', 'max_freq': '2'}])
    def test_a_foreign_state_is_refused_and_nothing_changes(
        self, clock: GpuClock, state: dict[str, str]
    ) -> None:
        before = clock.state()
        if before:
            with pytest.raises(HardwareError):
                clock.restore(state)
        assert clock.state() == before


@given(
    st.lists(st.floats(1.0, 1e10), min_size=1, unique=True).map(sorted),
    st.floats(1.0, 2e10),
)
def test_level_for_is_the_least_level_not_below(levels: list[float], wanted_hz: float) -> None:
    level = level_for(levels, wanted_hz)
    assert level in levels
    enough = [candidate for candidate in levels if candidate >= wanted_hz]
    assert level == (min(enough) if enough else max(levels))


class TestEmulated:
    def test_it_starts_at_its_highest_level(self, tmp_path: Path) -> None:
        clock = EmulatedGpuClock(tmp_path / 'register')
        assert clock.available_frequencies_hz == AGX_ORIN_FREQUENCIES_HZ
        assert clock.frequency_hz() == 1300.5e6
        assert clock.slowdown == 1.0

    def test_the_register_outlives_the_object(self, tmp_path: Path) -> None:
        EmulatedGpuClock(tmp_path / 'register').set_frequency(500e6)
        assert EmulatedGpuClock(tmp_path / 'register').frequency_hz() == 510e6

    def test_slowdown_is_highest_over_present(self, tmp_path: Path) -> None:
        clock = EmulatedGpuClock(tmp_path / 'register', [500e6, 1e9])
        clock.set_frequency(1.0)
        assert clock.slowdown == 2.0

    @pytest.mark.parametrize('text', ['rubbish', '123', 'nan', '\x00\xff'])
    def test_a_damaged_register_reads_as_unknown_and_can_be_set(
        self, tmp_path: Path, text: str
    ) -> None:
        (tmp_path / 'register').write_text(text)
        clock = EmulatedGpuClock(tmp_path / 'register')
        assert math.isnan(clock.frequency_hz())
        assert clock.slowdown == 1.0
        assert clock.set_frequency(1e9) == 1020e6

    def test_a_register_that_is_a_folder_is_a_hardware_error(self, tmp_path: Path) -> None:
        clock = EmulatedGpuClock(tmp_path)
        with pytest.raises(HardwareError, match=str(tmp_path)):
            clock.frequency_hz()
        with pytest.raises(HardwareError, match=str(tmp_path)):
            clock.set_frequency(1e9)
        assert list(tmp_path.parent.glob('*.new')) == []

    @pytest.mark.parametrize('levels', [[], [0.0], [2e9, 1e9], [1e9, 1e9], [math.nan], [-1e9, 1e9]])
    def test_bad_levels_are_refused(self, tmp_path: Path, levels: list[float]) -> None:
        with pytest.raises(InvalidValueError, match='available_frequencies_hz'):
            EmulatedGpuClock(tmp_path / 'register', levels)

    def test_restoring_a_foreign_state_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(HardwareError):
            EmulatedGpuClock(tmp_path / 'register').restore({'governor': 'x'})
