"""What the forecaster expects of the next slot."""

from __future__ import annotations

import math

import pytest

from visionscaling_ros.control import ControlSettings, DeviceModel, Forecaster
from visionscaling_ros.control.forecast import IDLE_ARRIVAL_FPS
from visionscaling_ros.datatypes import OperatingPoint, SlotState

SETTINGS = ControlSettings(
    capacity_quantile=0.25, capacity_stale_s=20.0, exploration_fps=2.0, arrival_smoothing=0.5
)
POINTS = tuple(OperatingPoint('n', size, 0.4, 0.01, 0.001, 1e3 * size) for size in (160, 320))


def state(**changes: object) -> SlotState:
    values: dict[str, object] = {
        'slot': 1,
        'duration_s': 1.0,
        'arrival_fps': 15.0,
        'edge_reachable': True,
        'operating_points': POINTS,
        'uplink_capacity_bps': 2e6,
        'uplink_capacity_age_s': 1.0,
    }
    return SlotState(**(values | changes))  # type: ignore[arg-type]


def forecaster(*states: SlotState) -> Forecaster:
    made = Forecaster(SETTINGS)
    for one in states:
        made.observe(one)
    return made


def test_before_any_slot_nothing_can_be_offloaded() -> None:
    forecast = forecaster().forecast(7, DeviceModel())
    assert (forecast.slot, forecast.arrival_fps) == (7, IDLE_ARRIVAL_FPS)
    assert not forecast.edge_reachable
    assert forecast.operating_points == ()


def test_arrivals_follow_a_step_within_two_slots() -> None:
    followed = forecaster(state(), state(arrival_fps=30.0), state(arrival_fps=30.0))
    assert followed.forecast(2, DeviceModel()).arrival_fps == pytest.approx(30.0)


@pytest.mark.parametrize('arrival_fps', [math.nan, math.inf, -1.0])
def test_impossible_arrivals_are_passed_over(arrival_fps: float) -> None:
    made = forecaster(state(), state(arrival_fps=arrival_fps))
    assert made.forecast(2, DeviceModel()).arrival_fps == pytest.approx(15.0)


def test_no_arrivals_still_expects_a_first_frame() -> None:
    forecast = forecaster(state(arrival_fps=0.0)).forecast(2, DeviceModel())
    assert forecast.arrival_fps == IDLE_ARRIVAL_FPS


def test_fresh_capacity_is_counted_on_but_for_a_margin() -> None:
    forecast = forecaster(state()).forecast(2, DeviceModel())
    assert forecast.capacity_bps == pytest.approx(1.6e6)
    assert forecast.exploration_fps == 0.0


@pytest.mark.parametrize(
    'changes',
    [
        {'uplink_capacity_age_s': 21.0},
        {'uplink_capacity_age_s': math.inf},
        {'uplink_capacity_age_s': math.nan},
        {'uplink_capacity_bps': math.nan},
        {'uplink_capacity_bps': -1.0},
    ],
)
def test_unknown_capacity_is_explored_with_a_few_frames(changes: dict[str, float]) -> None:
    forecast = forecaster(state(**changes)).forecast(2, DeviceModel())
    assert forecast.exploration_fps == 2.0
    assert forecast.capacity_bps == pytest.approx(2.0 * 320e3)


def test_unreachable_edge_is_not_explored() -> None:
    forecast = forecaster(state(edge_reachable=False)).forecast(2, DeviceModel())
    assert (forecast.capacity_bps, forecast.exploration_fps) == (0.0, 0.0)


@pytest.mark.parametrize(('share', 'expected'), [(0.4, 0.4), (math.nan, 1.0), (3.0, 1.0)])
def test_server_share(share: float, expected: float) -> None:
    assert forecaster(state(server_share=share)).forecast(2, DeviceModel()).server_share == expected


def test_after_an_outage_the_capacity_is_learned_anew() -> None:
    made = forecaster(state(uplink_capacity_bps=4e5), state(edge_reachable=False))
    made.observe(state(uplink_capacity_bps=4e5, uplink_capacity_age_s=6.0))
    assert made.forecast(4, DeviceModel()).exploration_fps == SETTINGS.exploration_fps
    made.observe(state(uplink_capacity_bps=5e6, uplink_capacity_age_s=0.4))
    forecast = made.forecast(5, DeviceModel())
    assert forecast.exploration_fps == 0.0
    assert forecast.capacity_bps == pytest.approx(0.8 * 5e6)
