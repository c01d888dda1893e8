"""The parameters of controller_node; defaults and ranges are those of ControlSettings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from visionscaling_ros.control.policy import DEFAULT_POLICY, POLICY_NAMES
from visionscaling_ros.control.settings import ORIGINS, RANGES, ControlSettings
from visionscaling_ros.datatypes import OperatingPoint
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.nodes.parameters import Parameter

# name, description, unit
SETTINGS = (
    ('accuracy_target_map', 'mAP 50:95 the processed frames are to reach on average', ''),
    ('weight_energy', 'Weight of power in the cost', ''),
    ('weight_rate', 'Weight of processed frames in the cost', ''),
    ('full_rate_fps', 'Frame rate whose usefulness counts as 1', '1/s'),
    ('min_processed_fps', 'Falling short of this rate costs extra; 0: none', '1/s'),
    ('latency_target_s', "Latency that 'autoscale' and 'dms' hold", 's'),
    ('switching_cost', 'A decision replaces the last one if it saves this much cost', ''),
    ('allow_edge', 'Frames may be sent to the edge server', ''),
    ('allowed_models', "Detectors that may be used; ['']: all", ''),
    ('temperature_limit_c', 'The clock is lowered while the GPU is this warm; 0: never', 'degC'),
    ('utilization_ceiling', 'Share of time local inference may keep the robot busy', ''),
    ('max_blocked_arrivals', 'A local frame may take as long as this many arrivals', ''),
    ('min_rate_fps', 'Allocations below this rate are left out', '1/s'),
    ('tx_headroom', 'The uplink ceiling is this many times what is needed', ''),
    ('tx_max_frame_s', 'The uplink ceiling lets a frame pass in this time', 's'),
    ('capacity_quantile', 'Quantile of the expected uplink capacity to count on', ''),
    ('capacity_stale_s', 'A capacity sample older than this is not believed', 's'),
    ('exploration_fps', 'Frames offloaded only to learn an unknown capacity', '1/s'),
    ('arrival_smoothing', 'Weight of the newest slot in the arrival forecast', ''),
    ('primal_step', 'Step of the saddle point in the allocation', ''),
    ('dual_step', 'Step of the saddle point in the multiplier', ''),
    ('initial_multiplier', 'Multiplier at the start, in its natural unit', ''),
    ('max_multiplier', 'The multiplier is held below this, in its natural unit', ''),
    ('seed', 'Seed of policies that explore at random, when first used', ''),
    ('fixed_model', "Detector of the policy 'fixed'; empty: the largest that meets the target", ''),
    ('fixed_input_size_px', "Input size of the policy 'fixed'; 0: any", 'px'),
    ('fixed_origin', "Where the policy 'fixed' runs it", ''),
    ('fixed_frequency_hz', "GPU clock of the policy 'fixed'; 0: the highest", 'Hz'),
)
CHOICES = {'fixed_origin': ORIGINS}


def _declare(name: str, description: str, unit: str) -> Parameter:
    limits = {limited: (low, high) for limited, low, high in RANGES}
    low, high = limits.get(name, (None, None))
    default = getattr(ControlSettings(), name)
    if isinstance(default, tuple):
        default = list(default) or ['']  # ROS knows no type of an empty list
    return Parameter(name, default, description, unit, low, high, CHOICES.get(name, ()))


def make_settings(values: Mapping[str, Any]) -> ControlSettings:
    """Settings of the parameters' values."""
    given = {name: values[name] for name, _, _ in SETTINGS}
    given['allowed_models'] = tuple(model for model in values['allowed_models'] if model)
    return ControlSettings(**given)


def check_allowed_models(models: Sequence[str], offered: Sequence[OperatingPoint]) -> None:
    """Raise InvalidValueError for a model that is not offered; '' names none."""
    known = sorted({p.model for p in offered})
    for model in models:
        if offered and model and model not in known:
            raise InvalidValueError('allowed_models', model, ', '.join(known))


def check_fixed_point(
    model: str, input_size_px: int, offered: Sequence[OperatingPoint]
) -> None:
    """Raise InvalidValueError unless a model and size are offered; '' and 0 stand for any."""
    models = sorted({p.model for p in offered})
    if offered and model and model not in models:
        raise InvalidValueError('fixed_model', model, ', '.join(models))
    sizes_px = sorted({p.input_size_px for p in offered if model in ('', p.model)})
    if sizes_px and input_size_px and input_size_px not in sizes_px:
        raise InvalidValueError('fixed_input_size_px', input_size_px, sizes_px)


PARAMETERS = (
    Parameter('slot_duration_s', 1.0, 'Length of a slot', 's', 0.5, 60.0, read_only=True),
    Parameter('policy', DEFAULT_POLICY, 'Policy that decides', choices=POLICY_NAMES),
    Parameter(
        'policy_state_file',
        '',
        'File that keeps what policies learned from one run to the next; empty: none',
    ),
    *(_declare(*setting) for setting in SETTINGS),
)
