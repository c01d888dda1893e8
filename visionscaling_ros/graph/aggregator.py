"""Starts diagnostic_aggregator beside the graph, where it is installed."""

from __future__ import annotations

from typing import Any

from visionscaling_ros.installed import share_directory

PACKAGE = 'diagnostic_aggregator'
ARGUMENT = 'aggregate_diagnostics'
ANALYZERS = 'config/diagnostic_aggregator.yaml'


def aggregator_actions() -> list[Any]:
    """A launch argument and the node it starts; neither where the package is not installed."""
    from ament_index_python.packages import (  # noqa: PLC0415
        PackageNotFoundError,
        get_package_prefix,
    )
    from launch.actions import DeclareLaunchArgument  # noqa: PLC0415
    from launch.conditions import IfCondition  # noqa: PLC0415
    from launch.substitutions import LaunchConfiguration  # noqa: PLC0415
    from launch_ros.actions import Node  # noqa: PLC0415

    try:
        get_package_prefix(PACKAGE)
    except PackageNotFoundError:
        return []
    return [
        DeclareLaunchArgument(
            ARGUMENT, default_value='false', description=f'start {PACKAGE} with {ANALYZERS}'
        ),
        Node(
            package=PACKAGE,
            executable='aggregator_node',
            output='screen',
            parameters=[str(share_directory() / ANALYZERS)],
            condition=IfCondition(LaunchConfiguration(ARGUMENT)),
        ),
    ]
