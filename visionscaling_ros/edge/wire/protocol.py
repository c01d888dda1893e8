"""The Open Inference Protocol v2 over gRPC as this package speaks it, both ends.

Either one BYTES tensor ``image`` (a JPEG) goes to the server, and FP32 ``boxes`` (N, 4), FP32
``scores`` (N,) and INT64 ``class_ids`` (N,) come back; or the FP32 tensor the network reads goes
there, and the network's own output comes back. The message types are those Triton's client ships.
Source: https://github.com/kserve/open-inference-protocol (specification/protocol).
"""

from __future__ import annotations

from visionscaling_ros.edge.wire.protocol_reply import (
    MAX_DETECTIONS,
    EdgeReply,
    build_reply,
    parse_reply,
)
from visionscaling_ros.edge.wire.protocol_request import (
    JPEG_INPUT,
    OUTPUTS,
    REQUEST_OVERHEAD_BYTES,
    InferCall,
    build_request,
    parse_request,
    request_id,
)

__all__ = [
    'JPEG_INPUT',
    'MAX_DETECTIONS',
    'MAX_MESSAGE_BYTES',
    'OUTPUTS',
    'REQUEST_OVERHEAD_BYTES',
    'EdgeReply',
    'InferCall',
    'build_reply',
    'build_request',
    'parse_reply',
    'parse_request',
    'request_id',
]

MAX_MESSAGE_BYTES = 16 << 20
