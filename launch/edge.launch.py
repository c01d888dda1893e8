"""The inference server at the other end of the link."""

from typing import Any

from visionscaling_ros.graph.graphs import edge_graph
from visionscaling_ros.graph.launch_actions import launch_description
from visionscaling_ros.graph.options import EdgeOptions


def generate_launch_description() -> Any:
    """One launch argument per option; ``ros2 launch -s`` lists them."""
    return launch_description(EdgeOptions, edge_graph)
