"""From the description of the graph to a launch description.

The ``launch`` packages are imported when it is made: they are missing where ROS 2 comes from
Python wheels, and ``visionscaling up`` serves there.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from visionscaling_ros.graph.commands import parameter_files, process_command
from visionscaling_ros.graph.dds_profile import dds_environment
from visionscaling_ros.graph.descriptions import (
    RESPAWN_DELAY_S,
    NodeDescription,
    ProcessDescription,
)
from visionscaling_ros.graph.options import (
    OptionValue,
    RespawnOptions,
    declared_options,
    parse_options,
)
from visionscaling_ros.installed import PACKAGE

OptionsType = TypeVar('OptionsType', bound=RespawnOptions)


def launch_description(
    options_type: type[OptionsType],
    graph: Callable[[OptionsType], Sequence[ProcessDescription]],
) -> Any:
    """A LaunchDescription with one launch argument per option and one action per process."""
    from launch import LaunchDescription  # noqa: PLC0415
    from launch.actions import DeclareLaunchArgument, OpaqueFunction  # noqa: PLC0415

    declared = declared_options(options_type)

    def start(context: Any) -> list[Any]:
        texts = {option.name: context.launch_configurations[option.name] for option in declared}
        return launch_actions(graph(parse_options(options_type, texts)))

    arguments = [
        DeclareLaunchArgument(
            option.name, default_value=_text(option.default), description=option.description
        )
        for option in declared
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])


def launch_actions(descriptions: Sequence[ProcessDescription]) -> list[Any]:
    """One launch action for each process."""
    folder = Path(tempfile.mkdtemp(prefix='visionscaling-'))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return [_action(description, folder) for description in descriptions]


def _action(description: ProcessDescription, folder: Path) -> Any:
    from launch.actions import ExecuteProcess, Shutdown  # noqa: PLC0415
    from launch_ros.actions import Node  # noqa: PLC0415

    common: dict[str, Any] = {
        'name': description.name,
        'output': 'screen',
        'emulate_tty': True,
        'respawn': description.respawn,
        'respawn_delay': RESPAWN_DELAY_S,
        'additional_env': dds_environment(),
    }
    if not isinstance(description, NodeDescription):
        if description.ends_graph:
            common['on_exit'] = Shutdown(reason=f'{description.name} ended')
        return ExecuteProcess(cmd=process_command(description, folder), **common)
    if len(description.node_names) > 1:
        common['name'] = None  # a name would rename every node of the process
    return Node(
        package=PACKAGE,
        executable=description.executable,
        namespace=description.namespace,
        parameters=parameter_files(description, folder),
        remappings=description.remappings,
        ros_arguments=['--log-level', description.log_level],
        **common,
    )


def _text(value: OptionValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
