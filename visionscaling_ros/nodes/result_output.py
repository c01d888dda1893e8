"""What becomes of a frame, as messages."""

from __future__ import annotations

from sensor_msgs.msg import CompressedImage

from visionscaling_ros import msg
from visionscaling_ros.message_reading import NANOSECONDS, msgs_to_detections
from visionscaling_ros.nodes.conversions import detections_to_msgs, make_header, to_byte_array
from visionscaling_ros.nodes.offload_format import OffloadLabel
from visionscaling_ros.pipeline.dispatcher import EdgeReply
from visionscaling_ros.pipeline.frame import Frame, FrameFate
from visionscaling_ros.pipeline.frame_books import BooksSnapshot
from visionscaling_ros.pipeline.upload_worker import Payload

try:  # not part of every installation
    from vision_msgs.msg import (
        BoundingBox2D,
        Detection2D,
        Detection2DArray,
        ObjectHypothesisWithPose,
    )
except ImportError:
    Detection2DArray = None


def offload_to_msg(
    frame: Frame,
    payload: Payload,
    *,
    point: tuple[str, int],
    image_size_px: tuple[int, int],
    deadline_s: float,
    spare: bool = False,
) -> CompressedImage:
    """The message that goes to the edge bridge.

    :param payload: what is sent of it.
    :param point: model and input size [px] to run there.
    :param image_size_px: width and height of the source image.
    :param deadline_s: on the monotonic clock.
    :param spare: to be sent only while nothing else is.
    """
    model, input_size_px = point
    label = OffloadLabel(
        frame=frame.number,
        slot=frame.slot,
        model=model,
        size=input_size_px,
        width=image_size_px[0],
        height=image_size_px[1],
        deadline=deadline_s,
        spare=int(spare),
        shape=payload.tensor_shape,
    )
    return CompressedImage(
        header=make_header(frame.stamp_ns, frame.frame_id),
        format=str(label),
        data=to_byte_array(payload.data),
    )


def fate_to_msg(fate: FrameFate, now_ns: int) -> msg.FrameResult:
    """The FrameResult of a fate sealed at ``now_ns`` (ROS clock)."""
    frame = fate.frame
    result = msg.FrameResult(
        header=make_header(frame.stamp_ns, frame.frame_id),
        frame_number=frame.number,
        slot=frame.slot,
        status=msg.FrameResult.STATUS_PROCESSED,
        image_width_px=fate.image_width_px,
        image_height_px=fate.image_height_px,
        latency_s=fate.latency_s,
        age_s=(now_ns - frame.stamp_ns) / NANOSECONDS,
        gpu_time_s=fate.gpu_time_s,
        serial_time_s=fate.serial_time_s,
        server_queue_s=fate.server_queue_s,
        server_compute_s=fate.server_compute_s,
        upload_bytes=fate.upload_bytes,
        detections=detections_to_msgs(fate.detections, fate.class_names),
    )
    if fate.drop_reason is not None:
        result.status = msg.FrameResult.STATUS_DROPPED
        result.drop_reason = fate.drop_reason.value
    if frame.allocation is not None:
        result.model = frame.allocation.model
        result.input_size_px = frame.allocation.input_size_px
        result.origin = int(frame.allocation.origin)
        result.cut = frame.allocation.cut
    return result


def msg_to_reply(message: msg.FrameResult) -> EdgeReply:
    """What the edge bridge says about a frame."""
    return EdgeReply(
        message.frame_number,
        message.status == msg.FrameResult.STATUS_PROCESSED,
        msgs_to_detections(message.detections),
        message.image_width_px,
        message.image_height_px,
        message.server_queue_s,
        message.server_compute_s,
        message.upload_bytes,
    )


def result_to_detection_array(result: msg.FrameResult) -> Detection2DArray:
    """The same detections as vision_msgs/Detection2DArray."""
    array = Detection2DArray(header=result.header)
    for detection in result.detections:
        box = BoundingBox2D(
            size_x=float(detection.x_max - detection.x_min),
            size_y=float(detection.y_max - detection.y_min),
        )
        box.center.position.x = 0.5 * (detection.x_min + detection.x_max)
        box.center.position.y = 0.5 * (detection.y_min + detection.y_max)
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = detection.class_name
        hypothesis.hypothesis.score = float(detection.score)
        array.detections.append(
            Detection2D(header=result.header, bbox=box, results=[hypothesis])
        )
    return array


def books_to_msg(books: BooksSnapshot) -> msg.InferenceState:
    """An InferenceState with the counters and statistics of the books."""
    return msg.InferenceState(
        arrived=books.arrived,
        processed_local=books.processed_local,
        processed_edge=books.processed_edge,
        dropped=books.dropped,
        drop_reasons=list(books.drop_counts),
        drop_counts=list(books.drop_counts.values()),
        in_flight=books.in_flight,
        gpu_busy_s=books.gpu_busy_s,
        latency_local_mean_s=books.latency_local_mean_s,
        latency_local_p95_s=books.latency_local_p95_s,
        latency_edge_mean_s=books.latency_edge_mean_s,
        latency_edge_p95_s=books.latency_edge_p95_s,
    )
