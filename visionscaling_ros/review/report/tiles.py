"""The figures that matter most, as tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.review.report.run_series import mean
from visionscaling_ros.review.report.run_view import RunView
from visionscaling_ros.review.report.wording import number, share

_UNKNOWN = 'not known'


@dataclass(frozen=True)
class Tile:
    """A figure with its unit, and a word on it."""

    label: str
    value: str
    unit: str = ''
    note: str = ''


def tiles(view: RunView) -> list[Tile]:
    """In the order of the panels."""
    series = view.series
    length_s = series.duration_s
    whole_s = float(length_s.sum())
    processed_fps = series.processed_fps
    processed = float(np.nansum(processed_fps * length_s))
    arrived = float(np.nansum(series.state('arrival_fps') * length_s))
    edge = float(np.nansum(series.state('processed_edge_fps') * length_s))
    power_w = series.state('power_w')
    known = np.isfinite(power_w)
    powered = float(np.nansum((processed_fps * length_s)[known]))
    energy_j = float(np.sum((power_w * length_s)[known]))
    frames = processed_fps * length_s
    table_map = series.table_map
    below = int(series.missed(table_map).sum())
    reachable = whole_s - float(length_s[series.edge_away].sum())
    regret = series.state('cost') - view.optimum
    target = f'target {_targets(view)}'
    return [
        _share_tile('Frames processed', processed, arrived, f'of {round(arrived):,} arrived'),
        _share_tile('At the edge', edge, processed, 'of the frames processed'),
        _tile('Accuracy measured', mean(series.measured_map, frames), 'mAP', target),
        _tile('Accuracy by table', mean(table_map, frames), 'mAP', target),
        _share_tile('Below target', below, np.isfinite(table_map).sum(), 'of the slots, by table'),
        _tile('Power', mean(power_w, length_s), 'W', 'by model' if view.modelled else 'mean'),
        _tile('Energy', energy_j / powered if powered else math.nan, 'J', 'a processed frame'),
        _latency(view, 'Latency on the robot', at_edge=False),
        _latency(view, 'Latency at the edge', at_edge=True),
        _share_tile('Edge in reach', reachable, whole_s, 'of the time'),
        _tile('Regret', mean(regret, np.ones(len(regret))), 'cost', 'a slot, mean'),
        _decision_time(view),
    ]


def _tile(label: str, value: float, unit: str, note: str) -> Tile:
    if not math.isfinite(value):
        return Tile(label, _UNKNOWN)
    return Tile(label, number(value), unit, note)


def _share_tile(label: str, part: float, whole: float, note: str) -> Tile:
    return Tile(label, share(part, whole), '', note) if whole > 0.0 else Tile(label, _UNKNOWN)


def _targets(view: RunView) -> str:
    targets = view.series.target_map
    low, high = float(targets.min()), float(targets.max())
    return f'{low:g}' if low == high else f'{low:g} to {high:g}'


def _latency(view: RunView, label: str, *, at_edge: bool) -> Tile:
    latencies_s = [
        frame.latency_s
        for frame in view.side.frames
        if frame.processed and frame.at_edge is at_edge and math.isfinite(frame.latency_s)
    ]
    if latencies_s:
        return _tile(label, 1e3 * float(np.percentile(latencies_s, 95)), 'ms', '95th percentile')
    name = 'latency_edge_p95_s' if at_edge else 'latency_local_p95_s'
    slots_s = view.series.state(name)
    slots_s = slots_s[np.isfinite(slots_s)]
    median_s = float(np.median(slots_s)) if slots_s.size else math.nan
    return _tile(label, 1e3 * median_s, 'ms', '95th percentile of the median slot')


def _decision_time(view: RunView) -> Tile:
    times_s = view.series.decided('decision_time_s')
    times_s = times_s[np.isfinite(times_s)]
    p95_s = float(np.percentile(times_s, 95)) if times_s.size else math.nan
    return _tile('Time to decide', 1e3 * p95_s, 'ms', '95th percentile')
