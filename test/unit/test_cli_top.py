"""Options of ``visionscaling top`` that could not work are refused before ROS is asked."""

from __future__ import annotations

import argparse
import math

import pytest

from visionscaling_ros.cli import top
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.watch.robot_view import RobotView


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--interval', '0'], '--interval'),
        (['--interval', 'nan'], '--interval'),
        (['--timeout', '-1'], '--timeout'),
        (['--namespace', '/drone1', 'a b'], 'a ROS namespace such as /drone1'),
    ],
)
def test_options_that_cannot_work_are_refused(options: list[str], words: str) -> None:
    parser = argparse.ArgumentParser()
    top.add_arguments(parser)
    with pytest.raises(InvalidValueError, match=words):
        top.run(parser.parse_args(options))


def test_a_robot_was_seen_when_anything_came_of_it() -> None:
    assert not top.was_seen(RobotView('/drone1', silence_s=math.inf))
    assert top.was_seen(RobotView('/drone1', silence_s=2.0))
    assert not top.is_whole(RobotView('/drone1', ages_s={'slot_state': 0.1}))
    assert top.is_whole(RobotView('/drone1', ages_s=dict.fromkeys(top.WHOLE_TOPICS, 0.1)))
