"""What the rooms of the package share: plain frozen dataclasses, no ROS, no I/O.

They mirror the messages of the same names in ``msg/``; ``nodes/conversions.py`` translates.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
ImageArray = npt.NDArray[np.uint8]

NOMINAL_FREQUENCY_HZ = 1e9  # GPU work is counted at this clock while the real one is unknown


class Origin(enum.IntEnum):
    """Where a frame is processed; values equal ``Allocation.ORIGIN_*``."""

    LOCAL = 0
    EDGE = 1
    SPLIT = 2


class DropReason(str, enum.Enum):
    """Why a frame was not processed."""

    NOT_SCHEDULED = 'not_scheduled'  # the decision processes fewer frames than arrive
    SUPERSEDED = 'superseded'  # a newer frame took its place before it was started
    INVALID_IMAGE = 'invalid_image'  # wrong step, unknown encoding, zero size, undecodable
    TOO_OLD = 'too_old'  # past max_age_s before it could be processed
    EDGE_FAILED = 'edge_failed'  # the edge gave it back and it could not be run locally
    EDGE_TIMEOUT = 'edge_timeout'  # the bridge never answered
    INFERENCE_ERROR = 'inference_error'  # the model raised or answered nonsense
    SHUTDOWN = 'shutdown'  # the node was deactivated with the frame in flight


@dataclass(frozen=True)
class OperatingPoint:
    """One configuration (model, input size) and what a frame costs in it.

    ``gpu_work_ghz_s / f_ghz + serial_s`` is the local latency at GPU clock ``f``.
    """

    model: str
    input_size_px: int
    accuracy_map: float
    gpu_work_ghz_s: float
    serial_s: float
    upload_bits: float
    server_time_s: float = 0.0

    def local_latency_s(self, frequency_hz: float) -> float:
        """Time a frame occupies the robot at GPU clock ``frequency_hz`` [Hz]."""
        return self.gpu_work_ghz_s / (frequency_hz * 1e-9) + self.serial_s


@dataclass(frozen=True)
class Allocation:
    """A share of a slot's frames: ``rate_fps`` frames/s in one configuration at one place."""

    model: str
    input_size_px: int
    origin: Origin
    rate_fps: float
    cut: int = 0


class Binding(enum.IntFlag):
    """Limits a decision may reach; values equal ``Explanation.BINDING_*``."""

    ACCURACY = 1
    ARRIVALS = 2
    COMPUTE = 4
    UPLINK = 8
    SERVER = 16
    CLOCK = 32


NOTHING_BINDS = Binding(0)


@dataclass(frozen=True)
class Explanation:
    """Why a decision is what it is (units as in ``msg/Explanation.msg``)."""

    binding_constraints: Binding = NOTHING_BINDS
    accuracy_margin_map: float = math.nan
    arrivals_usage: float = math.nan
    compute_usage: float = math.nan
    uplink_usage: float = math.nan
    server_usage: float = math.nan
    clock_usage: float = math.nan
    edge_usable: bool = False
    expected_latency_s: float = math.nan
    runner_up: tuple[Allocation, ...] = ()
    runner_up_frequency_hz: float = math.nan
    runner_up_power_w: float = math.nan
    runner_up_processed_fps: float = math.nan
    runner_up_map: float = math.nan
    runner_up_cost: float = math.nan
    runner_up_penalized_cost: float = math.nan
    penalized_cost: float = math.nan


@dataclass(frozen=True)
class SlotDecision:
    """What to do from now until the next decision (units as in ``msg/SlotDecision.msg``)."""

    slot: int
    allocations: tuple[Allocation, ...]
    gpu_frequency_hz: float
    tx_rate_bps: float
    arrival_fps: float
    policy: str
    expected_power_w: float = math.nan
    expected_processed_fps: float = math.nan
    expected_map: float = math.nan
    expected_cost: float = math.nan
    multiplier: float = 0.0
    decision_time_s: float = math.nan
    settings_version: int = 0
    explanation: Explanation = Explanation()


@dataclass(frozen=True)
class Beliefs:
    """What the controller expects of the next slot (units as in ``msg/Beliefs.msg``)."""

    arrival_fps: float = math.nan
    capacity_bps: float = math.nan
    capacity_quantiles_bps: tuple[float, ...] = ()
    edge_usable: bool = False
    latency_factor: float = math.nan
    power_factor: float = math.nan
    power_offset_w: float = math.nan
    clock_cap_hz: float = math.nan
    target_feasible: bool = True
    operating_points: tuple[OperatingPoint, ...] = ()  # corrected, those allowed


@dataclass(frozen=True)
class SlotState:
    """What happened in the slot that just ended (units as in ``msg/SlotState.msg``)."""

    slot: int
    duration_s: float
    policy: str = ''
    arrival_fps: float = 0.0
    processed_local_fps: float = 0.0
    processed_edge_fps: float = 0.0
    dropped_fps: float = 0.0
    drop_counts: dict[str, int] = field(default_factory=dict)
    in_flight: int = 0
    latency_local_mean_s: float = math.nan
    latency_local_p95_s: float = math.nan
    latency_edge_mean_s: float = math.nan
    latency_edge_p95_s: float = math.nan
    energy_j: float = math.nan
    power_w: float = math.nan
    gpu_frequency_hz: float = math.nan
    gpu_utilization: float = math.nan
    gpu_temperature_c: float = math.nan
    uplink_throughput_bps: float = 0.0
    uplink_capacity_bps: float = math.nan
    uplink_capacity_age_s: float = math.inf
    rtt_s: float = math.nan
    server_queue_s: float = math.nan
    server_share: float = math.nan
    edge_reachable: bool = False
    achieved_map: float = math.nan
    map_measured: bool = False
    cost: float = math.nan
    constraint: float = math.nan
    cumulative_fit: float = 0.0
    processed: tuple[Allocation, ...] = ()  # what really ran, rates measured
    operating_points: tuple[OperatingPoint, ...] = ()  # as measured so far
    beliefs: Beliefs = Beliefs()  # of the slot that follows
    settings_version: int = 0


@dataclass(frozen=True)
class Detections:
    """Objects found in one image.

    boxes_px: float32 (N, 4), x_min y_min x_max y_max in pixels of the source image.
    scores: float32 (N,), 0 to 1, descending. class_ids: int64 (N,).
    """

    boxes_px: FloatArray
    scores: FloatArray
    class_ids: IntArray

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> Detections:
        """No objects."""
        return cls(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)
        )
