"""Names and QoS of the topics, once for all nodes."""

from __future__ import annotations

from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
)

IMAGE_RAW = 'image_raw'
IMAGE_COMPRESSED = f'{IMAGE_RAW}/compressed'
CAMERA_INFO = 'camera_info'
GROUND_TRUTH = 'ground_truth'
OFFLOAD = 'offload'
OFFLOAD_RESULT = 'offload_result'
FRAME_RESULT = 'frame_result'
DETECTIONS = 'detections'
INFERENCE_STATE = 'inference_state'
GPU_STATE = 'gpu_state'
LINK_STATE = 'link_state'
SLOT_STATE = 'slot_state'
SLOT_DECISION = 'slot_decision'
CONTROLLER_SETTINGS = 'controller_settings'
DEBUG_IMAGE = '~/debug_image'
DEBUG_IMAGE_COMPRESSED = f'{DEBUG_IMAGE}/compressed'

LINK_SILENCE_S = 1.0  # without a link_state for this long the bridge counts as away


def reliable(depth: int) -> QoSProfile:
    """Reliable, volatile, keep last ``depth``."""
    return QoSProfile(
        depth=depth, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE
    )


IMAGE_PUBLISHER_QOS = reliable(1)
IMAGE_SUBSCRIBER_QOS = QoSProfile(
    depth=1,
    history=HistoryPolicy.KEEP_LAST,
    reliability=qos_profile_sensor_data.reliability,
    durability=qos_profile_sensor_data.durability,
)
OFFLOAD_QOS = reliable(5)
RESULT_QOS = reliable(10)
STATE_QOS = reliable(10)
DECISION_QOS = QoSProfile(
    depth=1,
    history=HistoryPolicy.KEEP_LAST,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
