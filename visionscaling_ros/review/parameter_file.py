"""ROS 2 parameter files of controller_node: what they set, and writing one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import read_fields
from visionscaling_ros.review.settings_change import NODE, SETTING_NAMES
from visionscaling_ros.whole_file import whole_file

_PARAMETERS = 'ros__parameters'
_NOT_SETTINGS = ('slot_duration_s', 'policy_state_file', 'autostart', 'use_sim_time')


class ParameterFile:
    """What a parameter file sets for the controller_node of each robot.

    Nodes are named as ROS has it, ``/drone1/controller_node`` or one level a part; ``*`` stands
    for one part, ``**`` for any. A controller_node without a namespace is every robot's. Where
    several fit, later ones win.

    :raises InvalidValueError: the file cannot be read, or sets nothing for any controller_node.
    """

    def __init__(self, path: Path) -> None:
        top = read_fields(path, 'params', 'a ROS 2 parameter file')
        content = {key: top.value(key) for key in top.keys()}  # noqa: SIM118  (no mapping)
        self._sections = [(node, values) for node, values in _sections(content, ()) if node]
        for node, values in self._sections:
            if not isinstance(values, dict):
                name = f'/{"/".join(node)} in {path}'
                raise InvalidValueError(name, values, f'{_PARAMETERS} with values')
        if not any(node[-1] in (NODE, '*', '**') for node, _ in self._sections):
            raise InvalidValueError('params', str(path), f'a file with a section /**/{NODE}')

    def values(self, namespace: str) -> dict[str, Any] | None:
        """Parameters of the robot in ``namespace`` (from the root); None: nothing is for it."""
        wanted = (*[part for part in namespace.split('/') if part], NODE)
        found: dict[str, Any] = {}
        for node, values in self._sections:
            if node == (NODE,) or _fits(node, wanted):
                of_all = node[-1] != NODE  # and so has parameters of other nodes
                found.update({k: v for k, v in values.items() if not of_all or k in SETTING_NAMES})
        if not found:
            return None
        return {name: value for name, value in found.items() if name not in _NOT_SETTINGS}


def _sections(content: Any, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Parts of the nodes' names and what their sections hold, at whatever depth."""
    if not isinstance(content, dict):
        return
    for key, inner in content.items():
        if key == _PARAMETERS:
            yield above, inner
        else:
            yield from _sections(inner, (*above, *[p for p in str(key).split('/') if p]))


def _fits(pattern: Sequence[str], name: Sequence[str]) -> bool:
    if not pattern:
        return not name
    if pattern[0] == '**':
        return any(_fits(pattern[1:], name[skipped:]) for skipped in range(len(name) + 1))
    return bool(name) and pattern[0] in ('*', name[0]) and _fits(pattern[1:], name[1:])


def write_parameters(
    path: Path,
    namespaces: Iterable[str],
    values: Mapping[str, float | str],
    comments: Sequence[str],
) -> None:
    """Write values for the controller_node of every robot; replaces the file as a whole.

    A section has a node's full name, as ``ros2 param load`` of Humble looks for that; later ones
    load any section, and parameter files take full names as well.

    :param comments: lines to begin with.
    :raises InvalidValueError: it cannot be written there.
    """
    lines = [f'# {comment}'.rstrip() for comment in comments]
    for namespace in dict.fromkeys(namespaces):
        lines += [f'{namespace.rstrip("/")}/{NODE}:', f'  {_PARAMETERS}:']
        lines += [f'    {name}: {yaml_text(value)}' for name, value in values.items()]
    try:
        with whole_file(path) as partial:
            partial.write_text('\n'.join(lines) + '\n', encoding='utf-8')
    except OSError as error:
        raise InvalidValueError('out', str(path), f'a file to write ({error})') from error


def yaml_text(value: float | str) -> str:
    """A value as YAML 1.1 reads it back: a float always has a point, and an exponent a sign."""
    if isinstance(value, str):
        return value
    text = repr(float(value))
    if 'e' in text and '.' not in text:  # 1e-05 is a text there
        return text.replace('e', '.0e')
    return text
