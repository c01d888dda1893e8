"""What a node makes of the parameters it is started with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.graph.private_domain import in_private_domain
from visionscaling_ros.nodes.parameters import NodeParameters, Parameter

DECLARATIONS = (
    Parameter('low_hz', 1.0, 'Lowest', 'Hz', 0.0),
    Parameter('high_hz', 2.0, 'Highest', 'Hz', 0.0),
    Parameter('name', 'robot', 'Of the robot'),
)


def ascending(values: Mapping[str, Any]) -> None:
    if values['low_hz'] > values['high_hz']:
        raise InvalidValueError('high_hz', values['high_hz'], f'at least {values["low_hz"]}')


def never(values: Mapping[str, Any]) -> None:
    raise InvalidValueError('robot', values['name'], 'nothing at all')


@pytest.fixture
def context() -> Iterator[Context]:
    context = Context()
    with in_private_domain():
        rclpy.init(context=context)
        yield context
    rclpy.shutdown(context=context)


def parameters_of(context: Context, check: Any, **given: Any) -> tuple[NodeParameters, Node]:
    overrides = [rclpy.Parameter(name, value=value) for name, value in given.items()]
    node = Node('settled', context=context, parameter_overrides=overrides)
    return NodeParameters(node, DECLARATIONS, check_all=check), node


def test_of_values_that_do_not_fit_only_the_one_named_is_left(context: Context) -> None:
    parameters, node = parameters_of(context, ascending, high_hz=0.5, name='rover')
    assert dict(parameters) == {'low_hz': 1.0, 'high_hz': 2.0, 'name': 'rover'}
    assert node.get_parameter('high_hz').value == 2.0
    assert node.get_parameter('name').value == 'rover'
    node.destroy_node()


@pytest.mark.parametrize('given', [{'low_hz': 9.0, 'name': 'rover'}, {'low_hz': 9.0}])
def test_where_that_does_not_help_all_defaults_are_used(
    context: Context, given: dict[str, Any]
) -> None:
    for check in (ascending, never):
        parameters, node = parameters_of(context, check, **given)
        assert dict(parameters) == {d.name: d.default for d in DECLARATIONS}
        assert node.get_parameter('low_hz').value == 1.0
        node.destroy_node()
