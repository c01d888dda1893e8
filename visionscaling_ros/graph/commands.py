"""From a description to a command line."""

from __future__ import annotations

from pathlib import Path

import yaml

from visionscaling_ros.graph.descriptions import (
    NodeDescription,
    ProcessDescription,
    ProgramDescription,
)
from visionscaling_ros.installed import program_command


def process_command(description: ProcessDescription, folder: Path) -> list[str]:
    """Command line of a process; parameters go through a file in ``folder``."""
    if isinstance(description, ProgramDescription):
        return [*program_command('visionscaling'), *description.arguments]
    arguments = ['--ros-args', '--log-level', description.log_level]
    if description.namespace:
        arguments += ['-r', f'__ns:=/{description.namespace.strip("/")}']
    for source, target in description.remappings:
        arguments += ['-r', f'{source}:={target}']
    for path in parameter_files(description, folder):
        arguments += ['--params-file', path]
    return [*program_command(description.executable), *arguments]


def parameter_files(description: NodeDescription, folder: Path) -> list[str]:
    """The parameter files of a process, the one that wins last.

    A file, because ``-p node:name:=value`` does not find a node in a namespace, and
    ``-p name:=value`` loses against a file that names the node.
    """
    files = [description.params_file] if description.params_file else []
    content = {
        description.full_name(node_name): {'ros__parameters': dict(values)}
        for node_name, values in description.parameters.items()
        if values
    }
    if content:
        path = folder / f'{description.name}.yaml'
        path.write_text(yaml.safe_dump(content), encoding='utf-8')
        files.append(str(path))
    return files
