"""What counts as 1, so that step sizes suit any device and any target."""

from __future__ import annotations

import numpy as np

from visionscaling_ros.control.point_table import PointTable
from visionscaling_ros.control.settings import ControlSettings

_LEAST_GAP_MAP = 0.01  # accuracies closer together than this do not scale the steps up further
_LEAST_UNIT = 1e-9  # cost per frame/s


def gradient_unit(table: PointTable, settings: ControlSettings) -> float:
    """Cost of the energy of the dearest local frame [cost per frame/s].

    Where energy is unknown or of no weight, a frame's share of the worth of the full rate.
    """
    unit = settings.weight_energy * table.dearest_frame_j / table.device.p_max_w
    if unit < _LEAST_UNIT:
        return max(settings.weight_rate, 1.0) / settings.full_rate_fps
    return unit


def largest_gap_map(table: PointTable, settings: ControlSettings) -> float:
    """Largest distance of an accuracy from the target [mAP]."""
    target_map = table.reachable_target_map(settings)
    gap_map = float(np.max(np.abs(target_map - table.accuracy_map), initial=0.0))
    return max(gap_map, _LEAST_GAP_MAP)
