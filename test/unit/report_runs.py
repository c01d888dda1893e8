"""Recorded runs made by hand, and bags with frames, GPU and link beside the slots."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import (
    Allocation,
    Beliefs,
    OperatingPoint,
    Origin,
    SlotDecision,
    SlotState,
)
from visionscaling_ros.review.recorded_run import RecordedRun, RecordedSettings, RecordedSlot
from visionscaling_ros.review.report.regret import optimal_costs
from visionscaling_ros.review.report.run_series import RunSeries
from visionscaling_ros.review.report.run_view import RunView
from visionscaling_ros.review.report.side_records import SideRecords

POINTS = (
    OperatingPoint('small', 320, 0.40, 0.010, 0.002, 80e3, 0.005),
    OperatingPoint('large', 640, 0.60, 0.030, 0.003, 300e3, 0.010),
)
DEVICE = DeviceModel((3e8, 6e8, 1.2e9), 2.0, 3.0, 5.0, 0.5, 0.08)
SETTINGS = ControlSettings(accuracy_target_map=0.5)
LARGE = Allocation('large', 640, Origin.LOCAL, 15.0)
SMALL = Allocation('small', 320, Origin.EDGE, 10.0)


def state(slot: int, **fields: Any) -> SlotState:
    """30 frames/s of which 15 are run here and 10 at the edge; of that slot."""
    usual: dict[str, Any] = {
        'duration_s': 1.0,
        'policy': 'visionscaling_meta' if slot else '',
        'arrival_fps': 30.0,
        'processed_local_fps': 15.0,
        'processed_edge_fps': 10.0,
        'dropped_fps': 5.0,
        'drop_counts': {'superseded': 5},
        'power_w': 10.0,
        'gpu_frequency_hz': 6e8,
        'gpu_utilization': 0.5,
        'gpu_temperature_c': 50.0,
        'uplink_throughput_bps': 8e5,
        'uplink_capacity_bps': 3e6,
        'uplink_capacity_age_s': 0.2,
        'rtt_s': 0.02,
        'server_share': 1.0,
        'edge_reachable': True,
        'achieved_map': 0.52,
        'cost': -1.0,
        'constraint': -0.5,
        'processed': (LARGE, SMALL),
        'operating_points': POINTS,
        'beliefs': Beliefs(30.0, 3e6, (1e6, 2e6, 3e6, 4e6, 5e6), True, 1.0, 1.0, 0.0, 1.2e9, True),
        'settings_version': 1,
    }
    return SlotState(slot=slot, **{**usual, **fields})


def decision(slot: int, **fields: Any) -> SlotDecision:
    """What :func:`state` tells to have run."""
    usual: dict[str, Any] = {
        'allocations': (LARGE, SMALL),
        'gpu_frequency_hz': 6e8,
        'tx_rate_bps': 1e6,
        'arrival_fps': 30.0,
        'policy': 'visionscaling_meta',
        'expected_power_w': 9.5,
        'expected_map': 0.52,
        'expected_cost': -1.1,
    }
    return SlotDecision(slot=slot, **{**usual, **fields})


def settings(version: int = 1, **fields: Any) -> RecordedSettings:
    """Settings of that version; ``fields`` are those of ``ControlSettings``."""
    control = dataclasses.replace(SETTINGS, **fields)
    return RecordedSettings(version, 99.0, 'visionscaling_meta', 1.0, control)


def make_run(
    states: Sequence[SlotState],
    *,
    decisions: dict[int, SlotDecision | None] | None = None,
    told: Sequence[RecordedSettings] = (),
    begin_s: float = 100.0,
    ends_s: dict[int, float] | None = None,
    device: DeviceModel = DEVICE,
    **fields: Any,
) -> RecordedRun:
    """A run of these slots; slot 0 has no decision.

    :param ends_s: ends of slots on the robot's clock, where they are not one second each.
    """
    told = told or [settings()]
    by_version = {each.version: each for each in told}
    slots = []
    for each in states:
        usual = None if each.slot == 0 else decision(each.slot)
        slots.append(
            RecordedSlot(
                end_s=(ends_s or {}).get(each.slot, begin_s + each.slot + 1.0),
                state=each,
                device=device,
                decision=(decisions or {}).get(each.slot, usual),
                decided_next=None,
                settings=by_version[each.settings_version],
            )
        )
    numbers = {each.slot for each in states}
    missing = tuple(n for n in range(min(numbers), max(numbers)) if n not in numbers)
    usual_fields: dict[str, Any] = {
        'namespace': '/', 'from_start': 0 in numbers, 'missing_slots': missing,
    }  # fmt: skip
    return RecordedRun(slots=tuple(slots), settings=tuple(told), **{**usual_fields, **fields})


def view_of(run: RecordedRun, side: SideRecords | None = None) -> RunView:
    return RunView(RunSeries(run), (side or SideRecords()).during(run), *optimal_costs(run))


def nothing_measured(slot: int) -> SlotState:
    """A slot of a robot without meter, thermometer, edge or frames."""
    return state(
        slot,
        arrival_fps=30.0, processed_local_fps=0.0, processed_edge_fps=0.0, dropped_fps=30.0,
        drop_counts={}, power_w=math.nan, gpu_frequency_hz=math.nan, gpu_utilization=math.nan,
        gpu_temperature_c=math.nan, uplink_throughput_bps=math.nan, uplink_capacity_bps=math.nan,
        uplink_capacity_age_s=math.inf, rtt_s=math.nan, server_share=math.nan,
        edge_reachable=False, achieved_map=math.nan, cost=math.nan, constraint=math.nan,
        processed=(), operating_points=(), beliefs=Beliefs(),
    )  # fmt: skip
