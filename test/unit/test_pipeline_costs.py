"""The cost table follows what frames really cost, and no single outlier."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.datatypes import OperatingPoint
from visionscaling_ros.pipeline.cost_table import TOLERANCE, CostTable
from visionscaling_ros.pipeline.gpu_clock_view import GpuClockView


def table() -> CostTable:
    costs = CostTable()
    costs.put(OperatingPoint('m', 320, 0.5, 0.010, 0.001, 1e5))
    return costs


@given(truth=st.floats(0.001, 0.1))
def test_it_converges_to_what_is_measured(truth: float) -> None:
    costs = table()
    for _ in range(1000):
        costs.observe_local('m', 320, truth, 0.002)
    (point,) = costs.points()
    assert point.gpu_work_ghz_s == pytest.approx(truth, rel=1.1 * TOLERANCE)
    assert point.serial_s == pytest.approx(0.002, rel=1.1 * TOLERANCE)


def test_frames_that_vary_by_half_leave_it_as_it_is_once_it_is_learned() -> None:
    rng = np.random.default_rng(1)
    costs = table()
    told = []
    for time_s in 0.02 * rng.uniform(0.5, 1.5, 2000):
        costs.observe_local('m', 320, float(time_s), 0.001)
        told.append(costs.points()[0].gpu_work_ghz_s)
    assert told[-1] == pytest.approx(0.02, rel=0.1)
    assert len(set(told[200:])) <= 3


def test_one_outlier_moves_it_by_a_fifth_at_most() -> None:
    costs = table()
    costs.observe_local('m', 320, 10.0, 0.001)
    assert costs.points()[0].gpu_work_ghz_s < 0.0121


def test_work_rescaled_stays_so() -> None:
    costs = table()
    costs.rescale_work(2.0)
    costs.observe_local('m', 320, 0.02, 0.01)  # the second moves enough to be told
    (point,) = costs.points()
    assert point.gpu_work_ghz_s == pytest.approx(0.02)
    assert point.serial_s > 0.001


def test_an_unknown_configuration_changes_nothing() -> None:
    costs = table()
    before = costs.points()
    costs.observe_server('other', 320, 1.0)
    assert costs.points() == before


def test_a_server_that_does_not_tell_its_time_changes_nothing() -> None:
    costs = table()
    before = costs.points()
    costs.observe_server('m', 320, float('nan'))
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


def test_work_measured_after_the_clock_is_known_is_rescaled_too() -> None:
    costs = table()
    costs.rescale_work(2.0)
    costs.put(OperatingPoint('late', 320, 0.5, 0.010, 0.001, 1e5))
    assert [p.gpu_work_ghz_s for p in costs.points()] == [0.020, 0.020]


def test_work_from_a_profile_is_at_the_real_clock_already() -> None:
    costs = CostTable()
    costs.put(OperatingPoint('m', 320, 0.5, 0.010, 0.001, 1e5), at_nominal_clock=False)
    costs.rescale_work(2.0)
    assert costs.points()[0].gpu_work_ghz_s == 0.010


def test_a_withdrawn_model_keeps_its_costs_and_a_removed_one_does_not() -> None:
    costs = table()
    costs.observe_server('m', 320, 0.03)
    costs.withdraw('m')
    assert costs.points() == ()
    assert costs.entered()[0].server_time_s == 0.03
    costs.restore('m')
    assert costs.points() == costs.entered()
    costs.withdraw('m')
    costs.remove('m')
    assert costs.entered() == ()
    costs.put(OperatingPoint('m', 320, 0.5, 0.010, 0.001, 1e5))
    assert costs.points()[0].server_time_s == 0.0


def test_accuracies_are_told_corrected_and_kept_as_entered() -> None:
    costs = table()
    costs.correct_accuracy({('m', 320): 0.8, ('other', 320): 0.5})
    assert costs.points()[0].accuracy_map == pytest.approx(0.4)
    assert costs.entered()[0].accuracy_map == 0.5
    costs.correct_accuracy({('m', 320): 3.0})
    assert costs.points()[0].accuracy_map == 1.0
    costs.correct_accuracy({})
    assert costs.points() == costs.entered()
