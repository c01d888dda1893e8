"""Camera and inference in one process: frames are handed over in memory."""

from __future__ import annotations

from visionscaling_ros.nodes.camera_node import CameraNode
from visionscaling_ros.nodes.inference_node import InferenceNode
from visionscaling_ros.nodes.managed_node import ManagedNode, run_nodes


def main() -> None:
    """Run both nodes until they are told to stop."""
    inference: list[InferenceNode] = []

    def make_inference() -> ManagedNode:
        inference.append(InferenceNode(in_memory=True))
        return inference[0]

    def make_camera() -> ManagedNode:
        camera = CameraNode()
        camera.consumer = inference[0].take_frame
        return camera

    run_nodes(make_inference, make_camera)


if __name__ == '__main__':
    main()
