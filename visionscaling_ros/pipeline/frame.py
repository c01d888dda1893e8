"""A frame on its way through the robot, and the fate it ends with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from visionscaling_ros.datatypes import Allocation, Detections, DropReason, ImageArray, Origin


@dataclass
class Frame:
    """One image as it arrived.

    ``decode`` turns what arrived into a BGR array (H, W, 3) and raises ImageFormatError if it
    cannot; it runs in the worker that needs the pixels, so a frame nobody processes costs nothing.
    """

    number: int
    stamp_ns: int
    frame_id: str
    arrived_s: float  # monotonic clock
    decode: Callable[[], ImageArray]
    slot: int = 0
    allocation: Allocation | None = None


@dataclass(frozen=True)
class FrameFate:
    """What became of a frame. ``drop_reason`` is None for a processed one."""

    frame: Frame
    latency_s: float
    drop_reason: DropReason | None = None
    detections: Detections = field(default_factory=Detections.empty)
    class_names: tuple[str, ...] = ()
    image_width_px: int = 0
    image_height_px: int = 0
    gpu_time_s: float = 0.0
    serial_time_s: float = 0.0
    server_queue_s: float = 0.0
    server_compute_s: float = 0.0
    upload_bytes: int = 0

    @property
    def processed(self) -> bool:
        """True unless the frame was dropped."""
        return self.drop_reason is None

    @property
    def origin(self) -> Origin:
        """Where the frame ran or was to run."""
        return self.frame.allocation.origin if self.frame.allocation else Origin.LOCAL
