"""Scores of a slot."""

from __future__ import annotations

import math

import pytest

from visionscaling_ros.control import ControlSettings, DeviceModel, RunningFit, evaluate_slot
from visionscaling_ros.control.evaluation import slot_cost
from visionscaling_ros.control.rate_utility import rate_utility
from visionscaling_ros.datatypes import Allocation, OperatingPoint, Origin, SlotState

DEVICE = DeviceModel((1e9,), 1.0, 2.0, 3.0)
SETTINGS = ControlSettings(accuracy_target_map=0.5, weight_energy=2.0, weight_rate=3.0)
POINTS = (
    OperatingPoint('n', 160, 0.3, 0.01, 0.0, 1e5),
    OperatingPoint('m', 320, 0.6, 0.03, 0.0, 2e5),
)
RAN = (
    Allocation('n', 160, Origin.LOCAL, 4.0),
    Allocation('m', 320, Origin.EDGE, 6.0),
    Allocation('gone', 320, Origin.LOCAL, 1.0),
)


def state(**changes: object) -> SlotState:
    values: dict[str, object] = {
        'slot': 1,
        'duration_s': 1.0,
        'processed_local_fps': 5.0,
        'processed_edge_fps': 6.0,
        'power_w': 3.0,
        'processed': RAN,
        'operating_points': POINTS,
    }
    return SlotState(**(values | changes))  # type: ignore[arg-type]


def test_score_by_hand() -> None:
    score = evaluate_slot(state(), SETTINGS, DEVICE)
    assert score.constraint == pytest.approx(4.0 * 0.2 - 6.0 * 0.1)
    assert score.table_map == pytest.approx((4.0 * 0.3 + 6.0 * 0.6) / 10.0)
    assert score.cost == pytest.approx(2.0 * 3.0 / 6.0 - 3.0 * rate_utility(11.0, 30.0))
    assert math.isnan(score.measured_map)


def test_measured_accuracy_is_reported_beside_the_table() -> None:
    score = evaluate_slot(state(achieved_map=0.41, map_measured=True), SETTINGS, DEVICE)
    assert score.measured_map == 0.41
    assert score.table_map == pytest.approx(0.48)


def test_nothing_ran() -> None:
    idle = state(processed=(), processed_local_fps=0.0, processed_edge_fps=0.0)
    score = evaluate_slot(idle, SETTINGS, DEVICE)
    assert (score.constraint, score.cost) == (0.0, pytest.approx(1.0))
    assert math.isnan(score.table_map)


def test_unknown_power_makes_the_cost_unknown() -> None:
    assert math.isnan(evaluate_slot(state(power_w=math.nan), SETTINGS, DEVICE).cost)


def test_too_low_a_rate_costs_extra() -> None:
    strict = ControlSettings(weight_rate=3.0, min_processed_fps=10.0)
    plain = ControlSettings(weight_rate=3.0)
    extra = slot_cost(3.0, 5.0, strict, DEVICE) - slot_cost(3.0, 5.0, plain, DEVICE)
    assert extra == pytest.approx(1.5)
    assert slot_cost(3.0, 10.0, strict, DEVICE) == slot_cost(3.0, 10.0, plain, DEVICE)


def test_running_fit_is_the_positive_part_of_the_sum() -> None:
    fit = RunningFit()
    assert [fit.add(g) for g in (1.0, -3.0, math.nan, 1.5, 1.0)] == [1.0, 0.0, 0.0, 0.0, 0.5]
