"""Scores a measured slot: cost and accuracy constraint of the decision problem."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.rate_utility import rate_utility
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Allocation, OperatingPoint, SlotState


@dataclass(frozen=True)
class SlotScore:
    """What a slot cost and how it stood to the accuracy target.

    :param cost: phi of the slot [-]; NaN where its power is not known.
    :param constraint: g of the slot by the accuracy table [mAP frames/s]; positive: below target.
    :param table_map: rate-weighted mAP of what ran, by the accuracy table; NaN: nothing ran.
    :param measured_map: mAP against ground truth; NaN: there was none.
    """

    cost: float
    constraint: float
    table_map: float
    measured_map: float


def slot_cost(
    power_w: float, processed_fps: float, settings: ControlSettings, device: DeviceModel
) -> float:
    """``w_e P/P_max - w_r U(rate)``, plus ``w_r`` times the shortfall from the least rate [-]."""
    cost = settings.weight_energy * power_w / device.p_max_w
    cost -= settings.weight_rate * rate_utility(processed_fps, settings.full_rate_fps)
    least_fps = settings.min_processed_fps
    if processed_fps < least_fps:
        cost += settings.weight_rate * (1.0 - processed_fps / least_fps)
    return cost


def accuracy_constraint(
    allocations: Iterable[Allocation],
    points: Iterable[OperatingPoint],
    accuracy_target_map: float,
) -> tuple[float, float]:
    """Constraint ``sum rate (target - accuracy)`` [mAP frames/s] and rate-weighted mAP.

    Configurations the table lacks do not count; the mAP is NaN if nothing counts.
    """
    accuracy = {(p.model, p.input_size_px): p.accuracy_map for p in points}
    rate_fps = weighted = 0.0
    for allocation in allocations:
        accuracy_map = accuracy.get((allocation.model, allocation.input_size_px), math.nan)
        if math.isfinite(accuracy_map) and allocation.rate_fps > 0.0:
            rate_fps += allocation.rate_fps
            weighted += allocation.rate_fps * accuracy_map
    mean = weighted / rate_fps if rate_fps > 0.0 else math.nan
    return rate_fps * accuracy_target_map - weighted, mean


def evaluate_slot(state: SlotState, settings: ControlSettings, device: DeviceModel) -> SlotScore:
    """Cost and constraint of a measured slot, from what really ran."""
    constraint, table_map = accuracy_constraint(
        state.processed, state.operating_points, settings.accuracy_target_map
    )
    processed_fps = max(state.processed_local_fps, 0.0) + max(state.processed_edge_fps, 0.0)
    return SlotScore(
        cost=slot_cost(state.power_w, processed_fps, settings, device),
        constraint=constraint,
        table_map=table_map,
        measured_map=state.achieved_map if state.map_measured else math.nan,
    )


class RunningFit:
    """``[sum of g]^+`` over the slots so far [mAP frames/s]."""

    def __init__(self) -> None:
        self._sum = 0.0

    def add(self, constraint: float) -> float:
        """Add a slot's constraint; returns the fit. One that is not finite is passed over."""
        if math.isfinite(constraint):
            self._sum += constraint
        return max(self._sum, 0.0)
