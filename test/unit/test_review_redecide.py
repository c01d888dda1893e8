"""A recorded run decided again is the run that was recorded."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('rclpy')

from recorded_bags import write_run

from visionscaling_ros import msg
from visionscaling_ros.control.policy import POLICY_NAMES
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.review.recorded_run import RecordedRun, read_runs
from visionscaling_ros.review.redecide import SINGLE_PRECISION, redecide


def recorded(path: Path, **options: Any) -> RecordedRun:
    (run,) = read_runs(write_run(path / 'bag', **options))
    return run


@pytest.mark.parametrize('policy', POLICY_NAMES)
def test_the_same_policy_decides_the_same(tmp_path: Path, policy: str) -> None:
    run = recorded(tmp_path, slots=80, policy=policy, scenario='fast_fading')
    again = redecide(run)
    assert again.exact
    assert len(again.compared) == 79
    assert [slot for slot in again.compared if slot.differing] == []


def test_settings_change_when_they_were_changed(tmp_path: Path) -> None:
    first = ControlSettings(accuracy_target_map=0.3)
    changes = {20: ControlSettings(accuracy_target_map=0.45), 50: first}
    run = recorded(tmp_path, slots=70, settings=first, changes=changes)
    assert [told.version for told in run.settings] == [1, 2, 3]
    again = redecide(run)
    assert again.exact
    assert again.same == len(again.compared) == 69


def test_another_seed_policy_or_setting_is_told_and_decides_otherwise(tmp_path: Path) -> None:
    run = recorded(tmp_path, slots=40, policy='autoscale')
    again = redecide(run, 'fixed')
    assert 'fixed' in again.reasons[0]
    assert again.same < len(again.compared)
    assert {slot.decided.policy for slot in again.slots} == {'fixed'}
    other = redecide(run, change=lambda s: dataclasses.replace(s, weight_energy=50.0))
    assert 'settings' in other.reasons[0]
    assert other.same < len(other.compared)


def test_a_run_that_begins_in_its_middle_is_told_to(tmp_path: Path) -> None:
    run = recorded(tmp_path, slots=40)
    cut = dataclasses.replace(run, slots=run.slots[10:], from_start=False)
    again = redecide(cut)
    assert not again.exact
    assert 'slot 10' in again.reasons[0]
    assert [slot.slot for slot in again.slots] == list(range(11, 41))


def test_a_policy_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match='cutedge'):
        redecide(recorded(tmp_path, slots=3), 'none_such')


def test_single_precision_is_where_the_message_has_it() -> None:
    types = msg.SlotDecision.get_fields_and_field_types()
    assert {name for name, kind in types.items() if kind == 'float'} == set(SINGLE_PRECISION)
    assert msg.Allocation.get_fields_and_field_types()['rate_fps'] == 'float'
