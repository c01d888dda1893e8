"""The only place that assigns frames: every frame that arrives gets one allocation and one fate."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from collections.abc import Callable

from visionscaling_ros.datatypes import (
    Allocation,
    Detections,
    DropReason,
    ImageArray,
    Origin,
    SlotDecision,
)
from visionscaling_ros.pipeline.cost_table import CostTable
from visionscaling_ros.pipeline.detector_port import ModelsPort
from visionscaling_ros.pipeline.frame import Frame, FrameFate
from visionscaling_ros.pipeline.frame_books import BooksSnapshot, FrameBooks
from visionscaling_ros.pipeline.frame_shares import FrameShares
from visionscaling_ros.pipeline.gpu_clock_view import GpuClockView
from visionscaling_ros.pipeline.local_service import LocalService
from visionscaling_ros.pipeline.local_worker import LocalWorker
from visionscaling_ros.pipeline.upload_worker import Encode, Upload, UploadWorker

EDGE_ANSWER_GRACE_S = 0.5  # the bridge answers by a frame's deadline; past this it never will
UNLIMITED_FPS = 1e6  # the safe local operating point takes whatever arrives


@dataclasses.dataclass(frozen=True)
class EdgeReply:
    """What the edge bridge says about one offloaded frame."""

    frame_number: int
    answered: bool
    detections: Detections
    image_width_px: int = 0
    image_height_px: int = 0
    server_queue_s: float = 0.0
    server_compute_s: float = 0.0
    upload_bytes: int = 0


class Dispatcher:
    """Assigns frames by the decision in force and keeps the books. Thread-safe, never blocks.

    :param models: the detectors by name.
    :param encode: BGR image, model and input size [px] to what is sent.
    :param on_upload: called (upload thread) with every frame to hand to the edge bridge.
    :param on_fate: called (any thread) once for every frame that arrived.
    :param on_error: called with reason and words when an image or a model misbehaves.
    :param on_service: called with a model and why it was taken out of service ('': it is back).
    :param costs: what each configuration costs; corrected by every frame.
    :param safe_point: model and input size to run locally while there is no fresh decision.
    :param max_age_s: a frame older than this is of no use [s].
    :param window_s: window of the statistics in the books [s].
    :param first_number: number of the first frame; one that no earlier dispatcher gave keeps late
        replies to it from being taken for replies to this one.
    """

    def __init__(
        self,
        *,
        models: ModelsPort,
        encode: Encode,
        on_upload: Callable[[Upload], None],
        on_fate: Callable[[FrameFate], None],
        on_error: Callable[[DropReason, str], None],
        on_service: Callable[[str, str], None],
        costs: CostTable,
        safe_point: tuple[str, int],
        max_age_s: float = 1.0,
        window_s: float = 1.0,
        first_number: int = 1,
    ) -> None:
        self._models = models
        self._on_fate = on_fate
        self._on_error = on_error
        self._costs = costs
        self._books = FrameBooks(window_s)
        self._service = LocalService(models, costs, safe_point, on_service)
        self._local = LocalWorker(self._service, self._finish, on_error, costs)
        self._upload = UploadWorker(encode, on_upload, self._upload_failed, costs)
        self._lock = threading.Lock()
        self._numbers = itertools.count(first_number)
        self._edge_available = False
        self._stopped = False
        self._local.max_age_s = self._max_age_s = max_age_s
        self._safe = Allocation(*safe_point, Origin.LOCAL, UNLIMITED_FPS)
        self._slot = 0
        self._fallback = True
        self._lanes: tuple[Allocation, ...] = ()
        self._shares = FrameShares((), 0.0)
        self._set_lanes((self._safe,), 0.0)

    @property
    def fallback(self) -> bool:
        """True while the safe local operating point runs for want of a fresh decision."""
        return self._fallback

    @property
    def slot(self) -> int:
        """Slot of the decision in force."""
        return self._slot

    @property
    def edge_available(self) -> bool:
        """Whether the edge answers."""
        return self._edge_available

    @property
    def out_of_service(self) -> dict[str, str]:
        """Models that failed, and how."""
        return self._service.out_of_service

    def forget(self, model: str) -> None:
        """The model is no longer offered; should it come back, it starts anew."""
        self._service.forget(model)

    def start(self) -> None:
        """Start the workers."""
        self._local.start()
        self._upload.start()

    def stop(self) -> None:
        """Stop the workers; frames still without a fate are dropped, and counted so."""
        with self._lock:
            self._stopped = True
        self._local.stop()
        self._upload.stop()
        for model in self._service.out_of_service:
            self._service.forget(model)
        for frame in self._books.open_frames():
            self._drop(frame, DropReason.SHUTDOWN)

    def apply(self, decision: SlotDecision) -> None:
        """Assign the frames from now on by ``decision``."""
        with self._lock:
            self._set_lanes(decision.allocations, decision.arrival_fps)
            self._slot, self._fallback = decision.slot, False

    def fall_back(self) -> None:
        """Run every frame at the safe local operating point until the next decision."""
        with self._lock:
            if self._fallback:
                return
            self._set_lanes((self._safe,), 0.0)
            self._fallback = True

    def set_safe_point(self, model: str, input_size_px: int) -> None:
        """Change the safe local operating point."""
        self._service.safe_point = model, input_size_px
        with self._lock:
            self._safe = Allocation(model, input_size_px, Origin.LOCAL, UNLIMITED_FPS)
            if self._fallback:
                self._set_lanes((self._safe,), 0.0)

    def set_edge_available(self, available: bool) -> None:
        """Say whether the edge answers; while it does not, its frames run on the robot."""
        self._edge_available = available

    def set_clock(self, clock: GpuClockView) -> None:
        """Tell the local worker the GPU clock it runs at."""
        self._local.clock = clock

    def set_max_age_s(self, max_age_s: float) -> None:
        """Change the age past which a frame is of no use [s]."""
        self._local.max_age_s = self._max_age_s = max_age_s

    def accept(
        self, decode: Callable[[], ImageArray], stamp_ns: int, frame_id: str
    ) -> Frame | None:
        """Take a frame that arrived; None once stopped.

        :param decode: gives the BGR array (H, W, 3); raises ImageFormatError.
        """
        now_s = time.monotonic()
        with self._lock:
            if self._stopped:
                return None
            frame = Frame(next(self._numbers), stamp_ns, frame_id, now_s, decode, self._slot)
            lane = self._shares.next_lane()
            if lane is not None:
                frame.allocation = self._placed(self._lanes[lane])
            self._books.open(frame)
        if frame.allocation is None:
            self._drop(frame, DropReason.NOT_SCHEDULED)
        else:
            self._hand_over(frame)
        return frame

    def take_reply(self, reply: EdgeReply) -> None:
        """Take the edge bridge's word on an offloaded frame; what it gives back runs locally."""
        frame = self._books.open_frame(reply.frame_number)
        if frame is None or frame.allocation is None or frame.allocation.origin is Origin.LOCAL:
            return
        if not reply.answered:
            self._give_back(frame)
            return
        allocation = frame.allocation
        self._costs.observe_server(
            allocation.model, allocation.input_size_px, reply.server_compute_s
        )
        self._finish(
            FrameFate(
                frame,
                latency_s=time.monotonic() - frame.arrived_s,
                detections=reply.detections,
                class_names=self._models.class_names(allocation.model),
                image_width_px=reply.image_width_px,
                image_height_px=reply.image_height_px,
                server_queue_s=reply.server_queue_s,
                server_compute_s=reply.server_compute_s,
                upload_bytes=reply.upload_bytes,
            )
        )

    def close_overdue(self) -> None:
        """Drop the offloaded frames the bridge never answered."""
        oldest_s = time.monotonic() - self._max_age_s - EDGE_ANSWER_GRACE_S
        for frame in self._books.open_frames():
            if (
                frame.arrived_s < oldest_s
                and frame.allocation is not None
                and frame.allocation.origin is not Origin.LOCAL
            ):
                self._drop(frame, DropReason.EDGE_TIMEOUT)

    def snapshot(self) -> BooksSnapshot:
        """The books now."""
        return self._books.snapshot(time.monotonic())

    def _set_lanes(self, allocations: tuple[Allocation, ...], arrival_fps: float) -> None:
        lanes = tuple(a for a in allocations if a.rate_fps > 0.0)
        owed = dict(zip(map(_key, self._lanes), self._shares.deficits, strict=False))
        self._shares = FrameShares(
            [a.rate_fps for a in lanes], arrival_fps, [owed.get(_key(a), 0.0) for a in lanes]
        )
        self._lanes = lanes

    def _placed(self, lane: Allocation) -> Allocation:
        if lane.origin is Origin.LOCAL or self._edge_available:
            return lane
        return self._local_stand_in(lane)

    def _local_stand_in(self, lane: Allocation) -> Allocation:
        """What runs locally a frame of ``lane`` that the edge cannot take.

        What most local frames run; where none do, its own configuration, as the controller expects
        when it sets the clock.
        """
        own = dataclasses.replace(lane, origin=Origin.LOCAL)
        local = [lane for lane in self._lanes if lane.origin is Origin.LOCAL]
        return max(local, key=lambda lane: lane.rate_fps, default=own)

    def _hand_over(self, frame: Frame) -> None:
        assert frame.allocation is not None
        worker = self._local if frame.allocation.origin is Origin.LOCAL else self._upload
        displaced = worker.put(frame)
        if displaced is not None:
            stopped = displaced is frame
            self._drop(displaced, DropReason.SHUTDOWN if stopped else DropReason.SUPERSEDED)

    def _upload_failed(self, frame: Frame, reason: DropReason, words: str) -> None:
        self._on_error(reason, words)
        self._drop(frame, reason)

    def _give_back(self, frame: Frame) -> None:
        assert frame.allocation is not None
        with self._lock:
            stopped = self._stopped
            frame.allocation = self._local_stand_in(frame.allocation)
        if stopped or time.monotonic() - frame.arrived_s > self._max_age_s:
            self._drop(frame, DropReason.EDGE_FAILED)
        else:
            self._hand_over(frame)

    def _drop(self, frame: Frame, reason: DropReason) -> None:
        latency_s = time.monotonic() - frame.arrived_s
        self._finish(FrameFate(frame, latency_s, drop_reason=reason))

    def _finish(self, fate: FrameFate) -> None:
        if self._books.close(fate, time.monotonic()):
            self._on_fate(fate)


def _key(allocation: Allocation) -> tuple[str, int, Origin, int]:
    return allocation.model, allocation.input_size_px, allocation.origin, allocation.cut
