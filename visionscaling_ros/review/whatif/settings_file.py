"""Settings out of a ROS 2 parameter file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from visionscaling_ros.control.policy import POLICY_NAMES
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import near, read_fields

NODE = 'controller_node'
_NOT_SETTINGS = ('slot_duration_s', 'policy_state_file', 'autostart', 'use_sim_time')


def read_settings(
    path: Path, namespace: str, given: ControlSettings
) -> tuple[ControlSettings, str | None]:
    """Settings, ``given`` but for what the file sets, and the policy it sets, if it does.

    The file's sections that count are those of the robot's controller_node, of every
    controller_node and of every node (``/**``), later ones over earlier ones.

    :param namespace: the robot's, from the root.
    :raises InvalidValueError: the file cannot be read, or a parameter is unknown or out of range.
    """
    top = read_fields(path, 'settings', 'a ROS 2 parameter file')
    own = f'{namespace.rstrip("/")}/{NODE}'
    names = ('/**', f'/**/{NODE}', f'/*/{NODE}', NODE, own)
    found = [str(key) for key in list(top.keys()) if str(key) in names]
    if not found:
        raise InvalidValueError('settings', str(path), f'a file with a section /**/{NODE} or {own}')
    values: dict[str, Any] = {}
    for key in found:
        section = top.mapping(key).value('ros__parameters')
        if not isinstance(section, dict):
            raise InvalidValueError(f'{key} in {path}', section, 'ros__parameters with values')
        values.update(section if key != '/**' else _known(section))
    for name in _NOT_SETTINGS:
        values.pop(name, None)
    policy = values.pop('policy', None)
    if policy is not None and policy not in POLICY_NAMES:
        raise InvalidValueError('policy', policy, ', '.join(POLICY_NAMES))
    return changed_settings(given, values), policy


def changed_settings(given: ControlSettings, values: dict[str, Any]) -> ControlSettings:
    """``given`` with these values, as the types say; raises InvalidValueError."""
    known = {f.name: getattr(given, f.name) for f in dataclasses.fields(ControlSettings)}
    for name, value in values.items():
        if name not in known:
            allowed = f'a parameter of {NODE}{near(name, known)}'
            raise InvalidValueError('parameter', name, allowed)
        known[name] = _typed(name, value, known[name])
    return ControlSettings(**known)


def _known(section: dict[str, Any]) -> dict[str, Any]:
    """What concerns the controller in a section for every node."""
    names = {f.name for f in dataclasses.fields(ControlSettings)} | {'policy'}
    return {name: value for name, value in section.items() if name in names}


def _typed(name: str, value: Any, like: Any) -> Any:
    if isinstance(like, tuple):
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(item for item in value if item)  # ROS knows no type of an empty list
        raise InvalidValueError(name, value, 'a list of texts')
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(like, float) and number:
        return float(value)
    if type(value) is not type(like):
        raise InvalidValueError(name, value, f'a value such as {like!r}')
    return value
