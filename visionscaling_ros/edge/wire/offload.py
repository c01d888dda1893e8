"""What goes into the bridge and what comes out of it: one outcome per offloaded frame."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from visionscaling_ros.datatypes import Detections
from visionscaling_ros.errors import EdgeError, InvalidValueError


class FailureReason(str, enum.Enum):
    """Why an offloaded frame has no answer."""

    SUPERSEDED = 'superseded'  # a newer frame took its place before it was sent
    DEADLINE = 'deadline'  # its deadline passed before it was sent
    EDGE_UNREACHABLE = 'edge_unreachable'  # not tried: the circuit is open
    UNAVAILABLE = 'unavailable'  # the connection failed or broke
    TIMEOUT = 'timeout'  # no answer before its deadline
    REFUSED = 'refused'  # the server answered that it will not process it
    BAD_REPLY = 'bad_reply'  # the server answered something unusable
    UNAUTHORIZED = 'unauthorized'  # the server does not know this robot or does not let it
    SHUTDOWN = 'shutdown'  # the bridge was closed with the frame in it


class OffloadError(EdgeError):
    """One request to the edge server that failed, and how."""

    def __init__(self, reason: FailureReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class OffloadFrame:
    """One frame for the edge server.

    ``payload`` is a JPEG of the image resized so that its longer side is ``input_size_px``, without
    padding, or, with ``tensor_shape``, the bytes of the float32 tensor the network reads.
    ``image_width_px`` and ``image_height_px`` are those of the source image, ``stamp_ns`` is its
    stamp on the ROS clock; the deadline is on ``time.monotonic()``. A ``spare`` frame is sent only
    while nothing else is to be. Raises InvalidValueError.
    """

    frame_number: int
    slot: int
    model: str
    input_size_px: int
    payload: bytes
    image_width_px: int
    image_height_px: int
    deadline_monotonic_s: float
    spare: bool = False
    stamp_ns: int = 0
    tensor_shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.deadline_monotonic_s):
            raise InvalidValueError(
                'deadline_monotonic_s', self.deadline_monotonic_s, 'a finite time [s]'
            )


@dataclass(frozen=True)
class OffloadOutcome:
    """What became of one frame: ``detections`` in source pixels, or ``reason`` and ``message``.

    ``reason`` is a :class:`FailureReason` value, empty when answered. ``elapsed_s`` runs from the
    frame's submission to the bridge; ``upload_bytes`` is 0 when the frame was never sent.
    """

    frame: OffloadFrame
    answered: bool
    reason: str
    detections: Detections
    message: str = ''
    queue_s: float = math.nan
    compute_s: float = math.nan
    upload_bytes: int = 0
    elapsed_s: float = math.nan
