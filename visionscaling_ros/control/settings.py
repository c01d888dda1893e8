"""What the controller is asked to do, as checked numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from visionscaling_ros.errors import InvalidValueError

ORIGINS = ('local', 'edge')


@dataclass(frozen=True)
class ControlSettings:
    """Targets, weights, step sizes and limits of the controller.

    :param accuracy_target_map: mAP the processed frames are to reach on average, 0 to 1.
    :param weight_energy: weight of power (as a share of the device's most) in the cost.
    :param weight_rate: weight of the usefulness of the processed frame rate in the cost.
    :param full_rate_fps: frame rate that counts as 1 [frames/s].
    :param min_processed_fps: falling short of this rate costs up to ``weight_rate`` more; 0: none.
    :param primal_step: step of the saddle point in the allocation, in cost-independent units.
    :param dual_step: step of the saddle point in the multiplier, in cost-independent units.
    :param initial_multiplier: multiplier at the start, in its natural unit.
    :param max_multiplier: the multiplier is held below this, in its natural unit.
    :param utilization_ceiling: share of the time local inference may keep the robot busy, 0 to 1.
    :param max_blocked_arrivals: a local frame may take as long as this many arrivals; longer ones
        would make the dispatcher drop the frames behind them.
    :param min_rate_fps: allocations below this rate are left out [frames/s].
    :param tx_headroom: the uplink ceiling is this many times what the allocations need.
    :param tx_max_frame_s: the uplink ceiling lets a frame pass in this time [s].
    :param capacity_quantile: quantile of the uplink capacity expected that is counted on, 0 to 1.
    :param capacity_stale_s: a capacity sample older than this is not believed [s].
    :param exploration_fps: frames offloaded only to learn an unknown capacity [frames/s].
    :param arrival_smoothing: weight of the newest slot in the arrival forecast, 0 to 1.
    :param switching_cost: a decision replaces the last one if it should cost this much less.
    :param temperature_limit_c: the clock is lowered while the GPU is this warm [degC]; 0: never.
    :param allow_edge: frames may be sent to the edge server.
    :param allowed_models: models that may be used; empty: all.
    :param latency_target_s: latency that policies with one (``autoscale``, ``dms``) hold [s].
    :param seed: of policies that explore at random.
    :param fixed_model: model of the ``fixed`` policy; empty: the largest that meets the target.
    :param fixed_input_size_px: its input size [px]; 0: any.
    :param fixed_origin: where the ``fixed`` policy runs it, 'local' or 'edge'.
    :param fixed_frequency_hz: its GPU clock [Hz]; 0: the highest.
    :raises InvalidValueError: for a value outside its range.
    """

    accuracy_target_map: float = 0.35
    weight_energy: float = 1.0
    weight_rate: float = 20.0
    full_rate_fps: float = 30.0
    min_processed_fps: float = 0.0
    primal_step: float = 1.0
    dual_step: float = 2.0
    initial_multiplier: float = 1.0
    max_multiplier: float = 20.0
    utilization_ceiling: float = 0.8
    max_blocked_arrivals: float = 2.0
    min_rate_fps: float = 0.05
    tx_headroom: float = 1.25
    tx_max_frame_s: float = 0.2
    capacity_quantile: float = 0.5
    capacity_stale_s: float = 10.0
    exploration_fps: float = 1.0
    arrival_smoothing: float = 0.5
    switching_cost: float = 0.001
    temperature_limit_c: float = 85.0
    allow_edge: bool = True
    allowed_models: tuple[str, ...] = ()
    latency_target_s: float = 0.1
    seed: int = 0
    fixed_model: str = ''
    fixed_input_size_px: int = 0
    fixed_origin: str = 'local'
    fixed_frequency_hz: float = 0.0

    def __post_init__(self) -> None:
        for name, low, high in RANGES:
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise InvalidValueError(name, value, f'{low} to {high}')
        if self.fixed_origin not in ORIGINS:
            raise InvalidValueError('fixed_origin', self.fixed_origin, ', '.join(ORIGINS))


RANGES = (
    ('accuracy_target_map', 0.0, 1.0),
    ('weight_energy', 0.0, 1e3),
    ('weight_rate', 0.0, 1e3),
    ('full_rate_fps', 0.1, 1e3),
    ('min_processed_fps', 0.0, 1e3),
    ('primal_step', 1e-6, 1e3),
    ('dual_step', 0.0, 1e3),
    ('initial_multiplier', 0.0, 1e6),
    ('max_multiplier', 0.0, 1e6),
    ('utilization_ceiling', 0.05, 1.0),
    ('max_blocked_arrivals', 0.1, 1e3),
    ('min_rate_fps', 0.0, 1.0),
    ('tx_headroom', 1.0, 10.0),
    ('tx_max_frame_s', 0.01, 10.0),
    ('capacity_quantile', 0.01, 0.99),
    ('capacity_stale_s', 0.1, 1e4),
    ('exploration_fps', 0.0, 30.0),
    ('arrival_smoothing', 0.01, 1.0),
    ('switching_cost', 0.0, 1e3),
    ('temperature_limit_c', 0.0, 150.0),
    ('latency_target_s', 1e-3, 60.0),
    ('seed', 0, 2**31 - 1),
    ('fixed_input_size_px', 0, 8192),
    ('fixed_frequency_hz', 0.0, 1e11),
)
