"""The parameters of controller_node; defaults and ranges are those of ControlSettings."""

from __future__ import annotations

from collections.abc import Sequence

from visionscaling_ros.control.policy import POLICY_NAMES
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
    ('primal_step', 'Step of the saddle point in the allocation', ''),
    ('dual_step', 'Step of the saddle point in the multiplier', ''),
    ('utilization_ceiling', 'Share of time local inference may keep the robot busy', ''),
    ('capacity_quantile', 'Quantile of the expected uplink capacity to count on', ''),
    ('exploration_fps', 'Frames offloaded only to learn an unknown capacity', '1/s'),
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
    return Parameter(name, default, description, unit, low, high, CHOICES.get(name, ()))


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
    Parameter('policy', 'visionscaling', 'Policy that decides', choices=POLICY_NAMES),
    *(_declare(*setting) for setting in SETTINGS),
)
