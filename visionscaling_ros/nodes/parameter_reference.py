"""All parameters of all nodes, as the reference in ``docs/`` and the file in ``config/``.

``python -m visionscaling_ros.nodes.parameter_reference markdown|yaml`` prints them; a test holds
the files in the repository against it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import yaml

from visionscaling_ros.nodes import (
    camera_node,
    controller_parameters,
    edge_bridge_node,
    gpu_clock_parameters,
    inference_parameters,
)
from visionscaling_ros.nodes.managed_node import COMMON_PARAMETERS
from visionscaling_ros.nodes.parameters import Parameter

NODE_PARAMETERS = {
    'camera_node': camera_node.PARAMETERS,
    'inference_node': inference_parameters.PARAMETERS,
    'edge_bridge_node': edge_bridge_node.PARAMETERS,
    'gpu_clock_node': gpu_clock_parameters.PARAMETERS,
    'controller_node': controller_parameters.PARAMETERS,
}

TABLE_HEAD = ('| parameter | default | allowed | what |', '|---|---|---|---|')


def markdown() -> str:
    """The reference: one table a node."""
    lines = [
        '# Parameters',
        '',
        'Every value is checked when it is set: one that is not allowed is refused with what is, '
        'and the old one stays.',
        'Parameters marked *at start* cannot be changed later. `use_sim_time` works on every node.',
    ]
    for node, declarations in NODE_PARAMETERS.items():
        lines += ['', f'## {node}', '', *TABLE_HEAD]
        lines += [_row(p) for p in (*COMMON_PARAMETERS, *declarations)]
    return '\n'.join(lines) + '\n'


def parameter_yaml() -> str:
    """A parameter file with every default, to copy and change."""
    return '\n'.join(_yaml_lines()) + '\n'


def _row(parameter: Parameter) -> str:
    what = parameter.description + (' (*at start*)' if parameter.read_only else '')
    limited = parameter.choices or parameter.minimum is not None or parameter.maximum is not None
    allowed = parameter.allowed if limited else 'any'
    return f'| `{parameter.name}` | `{parameter.default!r}` | {allowed} | {what} |'


def _yaml_lines() -> Iterator[str]:
    yield '# Every parameter of every node at its default. Copy it, keep what you change, and start'
    yield '# with params_file:=/path/to/it. docs/parameters.md says what each means.'
    for node, declarations in NODE_PARAMETERS.items():
        yield f'/**/{node}:'
        yield '  ros__parameters:'
        for parameter in (*COMMON_PARAMETERS, *declarations):
            value = yaml.safe_dump(parameter.default, default_flow_style=True).splitlines()[0]
            yield f'    {parameter.name}: {value}'


if __name__ == '__main__':
    sys.stdout.write({'markdown': markdown, 'yaml': parameter_yaml}[sys.argv[1]]())
