"""The cost table follows what frames really cost, and no single outlier."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.datatypes import OperatingPoint
from visionscaling_ros.pipeline.cost_table import CostTable
from visionscaling_ros.pipeline.gpu_clock_view import GpuClockView


def table() -> CostTable:
    costs = CostTable()
    costs.put(OperatingPoint('m', 320, 0.5, 0.010, 0.001, 1e5))
    return costs


@given(truth=st.floats(0.001, 0.1))
def test_it_converges_to_what_is_measured(truth: float) -> None:
    costs = table()
    for _ in range(200):
        costs.observe_local('m', 320, truth, 0.002)
    (point,) = costs.points()
    assert abs(point.gpu_work_ghz_s - truth) < 0.01 * truth
    assert abs(point.serial_s - 0.002) < 1e-5


def test_one_outlier_moves_it_by_a_fifth_at_most() -> None:
    costs = table()
    costs.observe_local('m', 320, 10.0, 0.001)
    assert costs.points()[0].gpu_work_ghz_s < 0.0121


def test_an_unknown_configuration_changes_nothing() -> None:
    costs = table()
    before = costs.points()
    costs.observe_server('other', 320, 1.0)
    assert costs.points() == before


def test_an_unknown_server_time_takes_the_first_sample() -> None:
    costs = table()
    costs.observe_server('m', 320, 0.03)
    assert costs.points()[0].server_time_s == 0.03


@given(slowdown=st.floats(1.0, 5.0), time_s=st.floats(1e-6, 2e-5))
def test_work_does_not_depend_on_the_clock_it_was_measured_at(
    slowdown: float, time_s: float
) -> None:
    full = GpuClockView(1.3e9, 1.0)
    slow = GpuClockView(1.3e9 / slowdown, slowdown)
    stretched_s = slow.stretch(time_s)
    assert abs(slow.work_ghz_s(stretched_s) - full.work_ghz_s(time_s)) < 1e-9
