"""Settings refuse what makes no sense, and say what they allow."""

from __future__ import annotations

import math

import pytest

from visionscaling_ros.control import ControlSettings
from visionscaling_ros.errors import InvalidValueError


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('accuracy_target_map', 1.1),
        ('accuracy_target_map', math.nan),
        ('weight_energy', -1.0),
        ('weight_rate', math.inf),
        ('utilization_ceiling', 0.0),
        ('primal_step', 0.0),
        ('capacity_quantile', 1.5),
        ('fixed_input_size_px', -1),
        ('fixed_origin', 'cloud'),
    ],
)
def test_refuses_and_names_the_value(name: str, value: object) -> None:
    with pytest.raises(InvalidValueError) as caught:
        ControlSettings(**{name: value})  # type: ignore[arg-type]
    assert caught.value.name == name
    assert repr(value) in str(caught.value)


def test_defaults_are_allowed() -> None:
    assert ControlSettings().accuracy_target_map == 0.35
