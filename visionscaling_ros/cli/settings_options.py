"""Options that change the controller's settings, for commands that look back at a run."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

import yaml

from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import near

NODE = 'controller_node'
_FIELDS = {field.name: field for field in dataclasses.fields(ControlSettings)}


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Declare ``--params`` and ``--set``."""
    parser.add_argument(
        '--params',
        default='',
        metavar='FILE',
        help=f'parameter file; what it says of {NODE} is put in place of what was recorded',
    )
    parser.add_argument(
        '--set',
        action='append',
        default=[],
        metavar='NAME=VALUE',
        help=f'a parameter of {NODE} in place of the recorded one; may be repeated',
    )


def settings_change(arguments: argparse.Namespace) -> Callable[[ControlSettings], ControlSettings]:
    """What makes the settings asked for of those recorded; raises InvalidValueError."""
    values = _of_file(arguments.params) if arguments.params else {}
    for text in arguments.set:
        name, equals, value = text.partition('=')
        if not equals:
            raise InvalidValueError('set', text, 'NAME=VALUE, such as weight_energy=2.0')
        values[name] = _checked(name, yaml.safe_load(value))
    return lambda settings: dataclasses.replace(settings, **values)


def _of_file(path: str) -> dict[str, Any]:
    """Settings in a ROS parameter file; parameters of the node that are no setting are left out."""
    try:
        with open(path, encoding='utf-8') as file:
            document = yaml.safe_load(file)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InvalidValueError('params', path, f'a parameter file ({error})') from error
    values: dict[str, Any] = {}
    for parameters in _parameters(document):
        known = {name: value for name, value in parameters.items() if name in _FIELDS}
        values.update({name: _checked(name, value) for name, value in known.items()})
    if not values:
        raise InvalidValueError('params', path, f'a file with ros__parameters of {NODE}')
    return values


def _parameters(document: Any, wanted: bool = False) -> list[dict[str, Any]]:
    """The ``ros__parameters`` of the node or of all, at whatever depth of namespaces."""
    if not isinstance(document, dict):
        return []
    found = []
    for name, content in document.items():
        if name == 'ros__parameters' and wanted and isinstance(content, dict):
            found.append(content)
        else:
            last = str(name).rpartition('/')[2]
            found += _parameters(content, wanted=last in (NODE, '**', '*'))
    return found


def _checked(name: str, value: Any) -> Any:
    """The value in the type of the setting; its range is checked by ControlSettings."""
    if name not in _FIELDS:
        allowed = f'a parameter of {NODE}{near(name, tuple(_FIELDS))}'
        raise InvalidValueError('set', name, allowed)
    kind = str(_FIELDS[name].type)
    if kind == 'float' and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if kind == 'int' and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind == 'bool' and isinstance(value, bool):
        return value
    if kind == 'str' and (isinstance(value, str) or value is None):
        return value or ''
    if kind.startswith('tuple') and isinstance(value, (list, str)):
        texts = [value] if isinstance(value, str) else value
        return tuple(str(text) for text in texts if text)
    raise InvalidValueError(name, value, f'a value of type {kind}')
