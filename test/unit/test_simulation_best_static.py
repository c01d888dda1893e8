"""The best static operating point against simulating every one of them."""

from __future__ import annotations

import dataclasses

import pytest

from visionscaling_ros.control import ControlSettings
from visionscaling_ros.control.policies.choice import Choices
from visionscaling_ros.simulation.best_static import EDGE_SHARES, StaticPolicy, best_static
from visionscaling_ros.simulation.conditions import Conditions
from visionscaling_ros.simulation.profile import DeviceProfile, load_profile
from visionscaling_ros.simulation.runner import simulate
from visionscaling_ros.simulation.scenarios import SCENARIOS, make_conditions

SLOTS = 60


def settings_for(profile: DeviceProfile, **changes: object) -> ControlSettings:
    values: dict[str, object] = {
        'accuracy_target_map': profile.accuracy_target_map,
        'full_rate_fps': profile.full_rate_fps,
    }
    return ControlSettings(**(values | changes))  # type: ignore[arg-type]


def small(profile: DeviceProfile, levels: int = 3) -> DeviceProfile:
    """With fewer clocks, so that all points can be simulated, and soon hot."""
    frequencies_hz = profile.device.available_frequencies_hz[-levels:]
    return dataclasses.replace(
        profile,
        device=dataclasses.replace(profile.device, available_frequencies_hz=frequencies_hz),
        thermal=dataclasses.replace(profile.thermal, time_constant_s=20.0),
    )


def mean_cost(
    policy: StaticPolicy, conditions: Conditions, profile: DeviceProfile, asked: ControlSettings
) -> float:
    return float(simulate(policy, conditions, profile, asked).cost.mean())


@pytest.mark.parametrize('scenario', SCENARIOS)
def test_no_other_point_would_have_cost_less(scenario: str) -> None:
    profile = small(load_profile('agx_orin'))
    asked = settings_for(profile, min_processed_fps=15.0)
    conditions = make_conditions(scenario, profile=profile, slots=SLOTS, seed=5)
    best = best_static(conditions, profile, asked)
    choices = Choices.build(profile.points, profile.device, asked)
    costs = {
        (k, level, share): mean_cost(
            StaticPolicy(asked, choices, configuration=k, level=level, edge_share=share),
            conditions,
            profile,
            asked,
        )
        for k in choices.meeting
        for level in range(len(choices.levels_hz))
        for share in EDGE_SHARES
    }
    chosen = costs[best.configuration, best.level, best.edge_share]
    assert chosen == pytest.approx(min(costs.values()), abs=1e-9)
    assert choices.points[best.configuration].accuracy_map >= asked.accuracy_target_map


def test_without_an_edge_it_stays_on_the_robot() -> None:
    profile = load_profile('tx2')
    asked = settings_for(profile, allow_edge=False)
    conditions = make_conditions('steady', profile=profile, slots=SLOTS, seed=1)
    assert best_static(conditions, profile, asked).edge_share == 0.0


def test_a_target_nobody_reaches_takes_the_most_accurate() -> None:
    profile = load_profile('tx2')
    asked = settings_for(profile, accuracy_target_map=1.0)
    conditions = make_conditions('steady', profile=profile, slots=SLOTS, seed=1)
    best = best_static(conditions, profile, asked)
    most_map = max(p.accuracy_map for p in profile.points)
    assert profile.points[best.configuration].accuracy_map == most_map
