"""Robot and edge server on one machine, with a shaped link in between."""

from typing import Any

from visionscaling_ros.graph.graphs import demo_graph
from visionscaling_ros.graph.launch_actions import launch_description
from visionscaling_ros.graph.options import DemoOptions


def generate_launch_description() -> Any:
    """One launch argument per option; ``ros2 launch -s`` lists them."""
    return launch_description(DemoOptions, demo_graph)
