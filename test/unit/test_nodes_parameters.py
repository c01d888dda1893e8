"""Parameters: one truth for declarations, reference and parameter file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

pytest.importorskip('rclpy')

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.nodes.parameter_reference import NODE_PARAMETERS, markdown, parameter_yaml
from visionscaling_ros.nodes.parameters import Parameter

ROOT = Path(__file__).resolve().parents[2]
ALL = [(node, p) for node, declarations in NODE_PARAMETERS.items() for p in declarations]
IDS = [f'{node}.{p.name}' for node, p in ALL]


def test_the_reference_in_docs_is_the_declarations() -> None:
    assert (ROOT / 'docs/parameters.md').read_text(encoding='utf-8') == markdown()


def test_the_parameter_file_in_config_is_the_declarations() -> None:
    text = (ROOT / 'config/defaults.yaml').read_text(encoding='utf-8')
    assert text == parameter_yaml()
    for node, declarations in NODE_PARAMETERS.items():
        values = yaml.safe_load(text)[f'/**/{node}']['ros__parameters']
        assert {p.name: p.default for p in declarations}.items() <= values.items()


@pytest.mark.parametrize(('node', 'parameter'), ALL, ids=IDS)
def test_every_parameter_accepts_its_default_and_says_what_it_is(
    node: str, parameter: Parameter
) -> None:
    assert parameter.accept(parameter.default) == parameter.default
    descriptor = parameter.descriptor()
    assert len(descriptor.description) > 8
    if parameter.unit:
        assert f'[{parameter.unit}]' in descriptor.description


@pytest.mark.parametrize(('node', 'parameter'), ALL, ids=IDS)
def test_every_quantity_has_its_unit_in_its_name(node: str, parameter: Parameter) -> None:
    suffixes = {'s': '_s', 'px': '_px', '1/s': '_fps', 'Hz': '_hz', 'W': '_w', 'frames': '_frames'}
    suffix = suffixes.get(parameter.unit)
    if suffix is not None:
        assert parameter.name.endswith((suffix, '_mbps')), parameter


def test_a_whole_number_is_as_good_as_a_float_but_a_word_is_not() -> None:
    parameter = Parameter('rate_fps', 15.0, 'Rate', '1/s', 0.0, 60.0)
    assert parameter.accept(30) == 30.0
    assert isinstance(parameter.accept(30), float)
    for value in ('fast', float('nan'), -1, 61.0, True, None):
        with pytest.raises(InvalidValueError, match='rate_fps'):
            parameter.accept(value)
