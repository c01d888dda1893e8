"""The robot's nodes on the images of a bag; they end with it."""

from typing import Any

from visionscaling_ros.graph.launch_actions import launch_description
from visionscaling_ros.graph.options import ReplayOptions
from visionscaling_ros.graph.replay_graph import replay_graph


def generate_launch_description() -> Any:
    """One launch argument per option; ``ros2 launch -s`` lists them."""
    return launch_description(ReplayOptions, replay_graph)
