"""Options that change the controller's settings, for commands that look back at a run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from visionscaling_ros.errors import InvalidValueError

if TYPE_CHECKING:
    from visionscaling_ros.review.parameter_file import ParameterFile
    from visionscaling_ros.review.settings_change import SettingsChange


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Declare ``--params`` and ``--set``."""
    parser.add_argument(
        '--params', type=Path, metavar='FILE',
        help='ROS 2 parameter file; what it sets for controller_node replaces what was recorded',
    )  # fmt: skip
    parser.add_argument(
        '--set', action='append', default=[], metavar='NAME=VALUE',
        help='a parameter of controller_node in place of the recorded one; may be repeated',
    )  # fmt: skip


class AskedSettings:
    """What ``--params`` and ``--set`` change for each robot; the latter wins.

    :raises InvalidValueError: the file cannot be read, or a parameter makes no sense.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        from visionscaling_ros.review.parameter_file import ParameterFile  # noqa: PLC0415
        from visionscaling_ros.review.settings_change import SettingsChange  # noqa: PLC0415

        self._path: Path | None = arguments.params
        self._file: ParameterFile | None = None
        if self._path is not None:
            self._file = ParameterFile(self._path)
        self._set = SettingsChange(_set_values(arguments.set)).values

    def of_robots(self, namespaces: Iterable[str]) -> Mapping[str, SettingsChange]:
        """By namespace. A robot the file has nothing for is told of; all of them: refused."""
        from visionscaling_ros.review.settings_change import SettingsChange  # noqa: PLC0415

        names = tuple(dict.fromkeys(namespaces))
        in_file = {name: self._file.values(name) if self._file else {} for name in names}
        missing = [name for name, values in in_file.items() if values is None]
        if missing and len(missing) == len(names):
            allowed = f'a file with a section for controller_node of {", ".join(missing)}'
            raise InvalidValueError('params', str(self._path), allowed)
        for name in missing:
            print(f'{self._path} sets nothing for {name}', file=sys.stderr)
        return {
            name: SettingsChange({**(values or {}), **self._set})
            for name, values in in_file.items()
        }


def _set_values(texts: Iterable[str]) -> dict[str, Any]:
    values = {}
    for text in texts:
        name, equals, value = text.partition('=')
        if not equals:
            raise InvalidValueError('set', text, 'NAME=VALUE, such as weight_energy=2.0')
        values[name.strip()] = _value(name, value)
    return values


def _value(name: str, text: str) -> Any:
    """As YAML 1.1 reads it, but that it takes 1e-3 for a text."""
    try:
        value = yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise InvalidValueError(name, text, 'a value as in a parameter file') from error
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
