"""Options are declared once and refuse what they do not know."""

from __future__ import annotations

import dataclasses

import pytest

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.graph.options import (
    DemoOptions,
    EdgeOptions,
    ReplayOptions,
    RobotOptions,
    declared_options,
    parse_options,
)

ALL_TYPES = (RobotOptions, EdgeOptions, DemoOptions, ReplayOptions)
NAV2_ARGUMENTS = {
    'namespace',
    'params_file',
    'use_sim_time',
    'autostart',
    'log_level',
    'use_respawn',
}


@pytest.mark.parametrize('options_type', ALL_TYPES)
def test_every_option_is_described_and_its_default_parses_to_itself(options_type):
    declared = declared_options(options_type)
    assert {option.name for option in declared} == {
        field.name for field in dataclasses.fields(options_type)
    }
    for option in declared:
        assert option.description
        assert option.parse(str(option.default)) == option.default
    assert parse_options(options_type, {o.name: str(o.default) for o in declared}) == (
        options_type()
    )


@pytest.mark.parametrize('options_type', [RobotOptions, DemoOptions])
def test_launch_arguments_are_those_of_nav2_and_more(options_type):
    assert {option.name for option in declared_options(options_type)} >= NAV2_ARGUMENTS


def test_an_option_of_two_graphs_means_the_same_in_both():
    live = [kind for kind in ALL_TYPES if kind is not ReplayOptions]  # there a rate is of the bag
    declared = [option for kind in live for option in declared_options(kind)]
    for option in declared:
        assert [other for other in declared if other.name == option.name and other != option] == []


def test_text_becomes_a_value():
    options = parse_options(
        RobotOptions, {'compose': 'False', 'use_sim_time': True, 'namespace': 'r1', 'rate': '15'}
    )
    assert options == RobotOptions(compose=False, use_sim_time=True, namespace='r1', rate='15')
    assert parse_options(EdgeOptions, {'port': '9001'}).port == 9001


@pytest.mark.parametrize(
    ('options_type', 'name', 'text', 'allowed'),
    [
        (RobotOptions, 'compose', 'maybe', 'true, false'),
        (RobotOptions, 'log_level', 'loud', 'debug, info'),
        (RobotOptions, 'image_transport', 'theora', 'raw, compressed'),
        (RobotOptions, 'params_file', '/no/such/file.yaml', 'an existing file'),
        (RobotOptions, 'rate', '-1', 'above 0'),
        (RobotOptions, 'rate', 'fast', 'above 0'),
        (RobotOptions, 'trace', '1000', 'namespace'),
        (EdgeOptions, 'port', '0', '1 to 65535'),
        (EdgeOptions, 'port', '70000', '1 to 65535'),
        (EdgeOptions, 'port', 'http', '1 to 65535'),
    ],
)
def test_a_bad_option_is_refused_by_name_with_what_is_allowed(options_type, name, text, allowed):
    with pytest.raises(InvalidValueError, match=name) as caught:
        parse_options(options_type, {name: text})
    assert allowed in str(caught.value)
