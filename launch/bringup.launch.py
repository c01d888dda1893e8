"""The nodes that run on the robot."""

from typing import Any

from visionscaling_ros.graph.graphs import robot_graph
from visionscaling_ros.graph.launch_actions import launch_description
from visionscaling_ros.graph.options import RobotOptions


def generate_launch_description() -> Any:
    """One launch argument per option; ``ros2 launch -s`` lists them."""
    return launch_description(RobotOptions, robot_graph)
