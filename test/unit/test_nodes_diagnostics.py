"""The aggregator's groups and the bits of a message are those the nodes speak of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

pytest.importorskip('rclpy')

from visionscaling_ros import msg
from visionscaling_ros.graph.graphs import CAMERA, CONTROLLER, EDGE_BRIDGE, GPU_CLOCK, INFERENCE
from visionscaling_ros.hardware.thermal.throttle import Throttle

ANALYZERS = Path(__file__).parents[2] / 'config' / 'diagnostic_aggregator.yaml'
GROUPS = {
    'Clock': GPU_CLOCK,
    'Power': f'{GPU_CLOCK}: power',
    'Temperature': f'{GPU_CLOCK}: temperature',
    'Controller': CONTROLLER,
    'Camera': CAMERA,
    'Inference': INFERENCE,
    'Edge': EDGE_BRIDGE,
}


def test_each_status_of_each_node_is_in_one_group_whatever_its_namespace() -> None:
    parameters = yaml.safe_load(ANALYZERS.read_text())['/**/analyzers']['ros__parameters']
    groups = {
        group['path']: group['regex'] for group in parameters.values() if isinstance(group, dict)
    }
    assert groups.keys() == GROUPS.keys()
    for path, status in GROUPS.items():
        for name in (f'/{status}', f'/robots/r1/{status}'):
            matching = {
                group
                for group, patterns in groups.items()
                if any(re.fullmatch(pattern, name) for pattern in patterns)
            }
            assert matching == {path}


def test_the_reasons_are_the_constants_of_the_message() -> None:
    prefix = 'THROTTLE_'
    constants = {
        name.removeprefix(prefix): getattr(msg.GpuState, name)
        for name in dir(msg.GpuState)
        if name.startswith(prefix)
    }
    assert {reason.name: reason.value for reason in Throttle} == constants
