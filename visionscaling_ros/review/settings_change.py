"""Settings of the controller in place of those recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from visionscaling_ros.control.policy import POLICY_NAMES
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import near

NODE = 'controller_node'
_USUAL = {f.name: getattr(ControlSettings(), f.name) for f in dataclasses.fields(ControlSettings)}
SETTING_NAMES = ('policy', *_USUAL)


@dataclass(frozen=True)
class SettingsChange:
    """Parameters of controller_node and their values; those it lacks stay as they were.

    :param values: by name; whole numbers do for floats.
    :raises InvalidValueError: a parameter is unknown, of another type or out of range.
    """

    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked = {name: _checked(name, value) for name, value in self.values.items()}
        object.__setattr__(self, 'values', checked)
        self(ControlSettings())  # so that ranges are checked before a bag is read

    @property
    def policy(self) -> str:
        """The policy it sets; '': none."""
        return str(self.values.get('policy', ''))

    def __call__(self, given: ControlSettings) -> ControlSettings:
        """``given``, changed."""
        changes = {name: value for name, value in self.values.items() if name != 'policy'}
        return dataclasses.replace(given, **changes)


def _checked(name: str, value: Any) -> Any:
    """The value in the type of the setting."""
    if name == 'policy':
        if value not in POLICY_NAMES:
            allowed = f'{", ".join(POLICY_NAMES)}{near(value, POLICY_NAMES)}'
            raise InvalidValueError(name, value, allowed)
        return value
    if name not in _USUAL:
        allowed = f'a parameter of {NODE}{near(name, SETTING_NAMES)}'
        raise InvalidValueError('parameter', name, allowed)
    like = _USUAL[name]
    if isinstance(like, tuple):
        if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
            return tuple(item for item in value if item)  # ROS knows no type of an empty list
        raise InvalidValueError(name, value, 'a list of texts')
    if isinstance(like, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(like):
        raise InvalidValueError(name, value, f'a value of type {type(like).__name__}')
    return value
