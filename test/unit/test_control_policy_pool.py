"""What policies learned is kept when they change, and from one run to the next."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from visionscaling_ros.control import ControlSettings, DeviceModel, Forecaster
from visionscaling_ros.control.policy_pool import PolicyPool
from visionscaling_ros.control.policy_state_file import read_policy_states, write_policy_states
from visionscaling_ros.datatypes import OperatingPoint, SlotState
from visionscaling_ros.errors import InvalidValueError

SETTINGS = ControlSettings(accuracy_target_map=0.3)
DEVICE = DeviceModel((300e6, 1300e6), 1.5, 3.0, 4.0)
STATE = SlotState(
    slot=0,
    duration_s=1.0,
    arrival_fps=10.0,
    processed_local_fps=10.0,
    power_w=10.0,
    gpu_frequency_hz=1300e6,
    gpu_utilization=0.3,
    operating_points=(OperatingPoint('n', 320, 0.4, 0.01, 0.001, 3e5),),
)


def taught(pool: PolicyPool) -> PolicyPool:
    """The pool after ten slots."""
    forecaster = Forecaster(SETTINGS)
    for slot in range(10):
        forecaster.observe(STATE)
        pool.current.decide(forecaster.forecast(slot, DEVICE))
        pool.current.observe(STATE)
    return pool


def test_a_policy_used_again_is_the_one_that_was_left_with_the_new_settings() -> None:
    pool = PolicyPool('autoscale', SETTINGS)
    left = pool.current
    changed = ControlSettings(accuracy_target_map=0.2)
    pool.use('fixed', changed)
    assert pool.current.name == 'fixed'
    pool.use('autoscale', changed)
    assert pool.current is left
    assert left.settings is changed
    with pytest.raises(InvalidValueError, match='magic'):
        pool.use('magic', changed)
    assert pool.current is left


def test_what_was_learned_goes_through_a_file(tmp_path: Path) -> None:
    file = tmp_path / 'new folder' / 'state.json'
    assert read_policy_states(file) == {}
    learned = taught(PolicyPool('autoscale', SETTINGS)).states()
    assert learned['autoscale']['values']
    write_policy_states(file, learned)
    assert os.listdir(file.parent) == ['state.json']
    pool = PolicyPool('fixed', SETTINGS)
    pool.load(read_policy_states(file))
    assert pool.current.name == 'fixed'
    assert pool.states() == learned
    pool = PolicyPool('autoscale', SETTINGS)
    pool.load(read_policy_states(file))
    assert pool.states() == learned
    assert PolicyPool('fixed', SETTINGS).states() == {}


@pytest.mark.parametrize(
    'content', ['', 'no JSON', '[1]', '{}', '{"policies": 3}', '[' * 100_000, '{"policies": {"a"']
)
def test_a_file_that_is_none_of_ours_is_refused_by_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / 'state.json'
    file.write_text(content)
    with pytest.raises(InvalidValueError, match=r'state\.json'):
        read_policy_states(file)


@pytest.mark.parametrize(
    'states', [{'autoscale': 3}, {'magic': {}}, {'fixed': {}}, {'autoscale': {'version': -1}}]
)
def test_states_that_make_no_sense_change_nothing(states: dict[str, Any]) -> None:
    pool = taught(PolicyPool('autoscale', SETTINGS))
    policy, learned = pool.current, pool.states()
    with pytest.raises(InvalidValueError):
        pool.load(states)
    assert pool.current is policy
    assert pool.states() == learned
