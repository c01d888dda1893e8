"""What inference_node publishes."""

from __future__ import annotations

from sensor_msgs.msg import CompressedImage

from visionscaling_ros import msg
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.conversions import (
    allocation_to_msg,
    make_header,
    operating_point_to_msg,
)
from visionscaling_ros.nodes.managed_node import ManagedNode
from visionscaling_ros.nodes.result_output import (
    Detection2DArray,
    books_to_msg,
    fate_to_msg,
    offload_to_msg,
    result_to_detection_array,
)
from visionscaling_ros.pipeline.cost_table import CostTable
from visionscaling_ros.pipeline.dispatcher import Dispatcher
from visionscaling_ros.pipeline.frame import FrameFate
from visionscaling_ros.pipeline.upload_worker import Upload


class InferenceOutput:
    """The node's publishers, and its objects as messages. Made while the node is configured."""

    def __init__(self, node: ManagedNode) -> None:
        self._clock = node.get_clock()
        self._results = node.advertise(msg.FrameResult, topics.FRAME_RESULT, topics.RESULT_QOS)
        self._offload = node.advertise(CompressedImage, topics.OFFLOAD, topics.OFFLOAD_QOS)
        self._states = node.advertise(
            msg.InferenceState, topics.INFERENCE_STATE, topics.STATE_QOS
        )
        self._detections = (
            node.advertise(Detection2DArray, topics.DETECTIONS, topics.RESULT_QOS)
            if Detection2DArray is not None
            else None
        )

    def publish_offload(self, message: CompressedImage) -> None:
        """An image for the edge bridge."""
        self._offload.publish(message)

    def publish_upload(self, upload: Upload, max_age_s: float) -> None:
        """A frame for the edge bridge, of no use past ``max_age_s`` [s]."""
        frame = upload.frame
        assert frame.allocation is not None
        message = offload_to_msg(
            frame,
            upload.payload,
            point=(frame.allocation.model, frame.allocation.input_size_px),
            image_size_px=(upload.image_width_px, upload.image_height_px),
            deadline_s=frame.arrived_s + max_age_s,
        )
        self.publish_offload(message)

    def publish_fate(self, fate: FrameFate) -> None:
        """What became of a frame."""
        result = fate_to_msg(fate, self._clock.now().nanoseconds)
        self._results.publish(result)
        if self._detections is not None and fate.processed:
            self._detections.publish(result_to_detection_array(result))

    def publish_state(
        self,
        dispatcher: Dispatcher,
        costs: CostTable,
        *,
        uptime_s: float,
        lost_in_transport: int,
        measured_map: float,
    ) -> None:
        """What became of all frames, and what there is to choose from."""
        books = dispatcher.snapshot()
        state = books_to_msg(books)
        state.header = make_header(self._clock.now().nanoseconds)
        state.uptime_s = uptime_s
        state.slot = dispatcher.slot
        state.fallback = dispatcher.fallback
        state.lost_in_transport = lost_in_transport
        state.measured_map = measured_map
        state.allocations = [allocation_to_msg(a) for a in books.processed]
        state.operating_points = [operating_point_to_msg(p) for p in costs.points()]
        self._states.publish(state)
