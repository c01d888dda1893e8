"""The nodes that run on the robot."""

from typing import Any

from visionscaling_ros.graph.aggregator import aggregator_actions
from visionscaling_ros.graph.graphs import robot_graph
from visionscaling_ros.graph.launch_actions import launch_description
from visionscaling_ros.graph.options import RobotOptions


def generate_launch_description() -> Any:
    """One launch argument per option; ``ros2 launch -s`` lists them."""
    description = launch_description(RobotOptions, robot_graph)
    for action in aggregator_actions():
        description.add_action(action)
    return description
