"""Settings as a ROS 2 parameter file that ``ros2 param load`` and ``params_file`` take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.review.whatif.settings_file import NODE
from visionscaling_ros.whole_file import whole_file


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
        lines += [f'{namespace.rstrip("/")}/{NODE}:', '  ros__parameters:']
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
