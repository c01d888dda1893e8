"""What ``visionscaling tune`` writes is taken by a running controller, and by one that starts."""

from __future__ import annotations

import sys

import pytest
import yaml
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import parameter_dict_from_yaml_file
from visionscaling_ros.msg import ControllerSettings

from visionscaling_ros.nodes.topics import DECISION_QOS
from visionscaling_ros.review.parameter_file import write_parameters

VALUES = {
    'accuracy_target_map': 0.43,
    'weight_rate': 8.0,
    'switching_cost': 1.5e-05,
    'utilization_ceiling': 0.7,
    'policy': 'visionscaling',
}


def loaded(path, node: str) -> list:
    """The parameters that ``ros2 param load`` sets: of every section; Humble: of the node's."""
    every = parameter_dict_from_yaml_file(str(path), True)
    own = yaml.safe_load(path.read_text(encoding='utf-8'))[node]['ros__parameters']
    assert set(every) == set(own)
    return list(every.values())


@pytest.mark.parametrize('namespace', ['', '/drone1'])
def test_a_running_controller_takes_every_value(graph, tmp_path, namespace):
    path, node = tmp_path / 'tuned.yaml', f'{namespace}/controller_node'
    write_parameters(path, [namespace or '/'], VALUES, ['expected: 8 W', ''])
    graph.start('controller_node', namespace=namespace)
    topic = f'{namespace}/controller_settings'
    graph.observer.wait_for(topic, ControllerSettings, qos=DECISION_QOS)
    request = SetParameters.Request(parameters=loaded(path, node))
    answer = graph.observer.call(SetParameters, f'{node}/set_parameters', request)
    assert [(result.successful, result.reason) for result in answer.results] == [(True, '')] * 5
    told = graph.observer.wait_for(
        topic, ControllerSettings, lambda m: m.policy == 'visionscaling', qos=DECISION_QOS
    )
    for name in VALUES:
        assert getattr(told, name) == VALUES[name]
        assert graph.observer.get_parameter(node, name) == VALUES[name]


def test_a_controller_starts_with_them(graph, tmp_path):
    path = tmp_path / 'tuned.yaml'
    write_parameters(path, ['/', '/drone1'], VALUES, ['expected: 8 W'])
    module = 'visionscaling_ros.nodes.controller_node'
    graph.run(sys.executable, '-m', module, '--ros-args', '--params-file', str(path))
    told = graph.observer.wait_for('controller_settings', ControllerSettings, qos=DECISION_QOS)
    assert {name: getattr(told, name) for name in VALUES} == VALUES
