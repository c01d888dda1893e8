"""The figures of a run, and what they are called."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.review.whatif.slot_series import Series, SlotSeries


@dataclass(frozen=True)
class Figures:
    """What a run came to; NaN: not known, or there was nothing of it.

    :param energy_j: mean power over the time there is, so slots without a reading count at it [J].
    :param energy_j_per_frame: of each processed frame [J].
    :param map: mean accuracy of the processed frames [mAP].
    :param latency_local_p95_s: mean of the slots' 95th percentiles, weighted by frames [s].
    :param latency_p95_s: the same over the frames of both places [s].
    :param regret_per_slot: mean cost over the least of each slot [-].
    """

    slots: int
    arrival_fps: float
    power_w: float
    energy_j: float
    energy_j_per_frame: float
    processed_fps: float
    map: float
    latency_local_mean_s: float
    latency_local_p95_s: float
    latency_edge_mean_s: float
    latency_edge_p95_s: float
    latency_p95_s: float
    dropped_fps: float
    dropped_frames: float
    regret_per_slot: float


@dataclass(frozen=True)
class Metric:
    """A figure the model is judged by.

    :param name: of the field of :class:`Figures`.
    :param heading: over a column, with its unit, times ``scale``.
    :param words: in a sentence; empty: the same.
    """

    name: str
    heading: str
    scale: float = 1.0
    form: str = '.2f'
    words: str = ''

    @property
    def long(self) -> str:
        """What it is called where nothing else tells what it is of."""
        return self.words or self.heading

    @property
    def short(self) -> str:
        """The heading without its unit, for percentages."""
        return self.heading.removesuffix(' ms')

    def text(self, value: float) -> str:
        """A value for people; '-' where there is none."""
        return '-' if math.isnan(value) else format(value * self.scale, self.form)


METRICS = (
    Metric('power_w', 'W', words='power [W]'),
    Metric('energy_j', 'J', form='.0f'),
    Metric('energy_j_per_frame', 'J/frame', form='.3f'),
    Metric('processed_fps', 'frames/s', words='processed frames/s'),
    Metric('map', 'mAP', form='.4f'),
    Metric('latency_local_mean_s', 'local ms', 1e3, '.0f'),
    Metric('latency_local_p95_s', 'p95 ms', 1e3, '.0f'),
    Metric('latency_edge_mean_s', 'edge ms', 1e3, '.0f'),
    Metric('latency_edge_p95_s', 'p95 ms', 1e3, '.0f'),
    Metric('latency_p95_s', 'p95 ms', 1e3, '.0f', 'p95 latency [ms]'),
    Metric('dropped_fps', 'dropped/s'),
    Metric('dropped_frames', 'dropped', form='.0f'),
    Metric('regret_per_slot', 'regret/slot', form='.3f'),
)
METRIC = {metric.name: metric for metric in METRICS}


def figures_of(series: SlotSeries, least_cost: Series) -> Figures:
    """The figures of slots.

    :param least_cost: cost of the best decision of each slot, shape (T,).
    """
    duration_s, processed_fps = series.duration_s, series.processed_fps
    total_s = float(duration_s.sum())
    frames = processed_fps * duration_s
    local, edge = series.local_fps * duration_s, series.edge_fps * duration_s
    power_w = weighted_mean(series.power_w, duration_s)
    energy_j, total_frames = power_w * total_s, float(np.nansum(frames))
    dropped = float(np.nansum(series.dropped_fps * duration_s))
    return Figures(
        slots=len(series),
        arrival_fps=weighted_mean(series.arrival_fps, duration_s),
        power_w=power_w,
        energy_j=energy_j,
        energy_j_per_frame=energy_j / total_frames if total_frames > 0.0 else math.nan,
        processed_fps=weighted_mean(processed_fps, duration_s),
        map=weighted_mean(series.map, frames),
        latency_local_mean_s=weighted_mean(series.latency_local_mean_s, local),
        latency_local_p95_s=weighted_mean(series.latency_local_p95_s, local),
        latency_edge_mean_s=weighted_mean(series.latency_edge_mean_s, edge),
        latency_edge_p95_s=weighted_mean(series.latency_edge_p95_s, edge),
        latency_p95_s=weighted_mean(
            np.concatenate([series.latency_local_p95_s, series.latency_edge_p95_s]),
            np.concatenate([local, edge]),
        ),
        dropped_fps=dropped / total_s if total_s > 0.0 else math.nan,
        dropped_frames=dropped,
        regret_per_slot=weighted_mean(series.cost - least_cost, np.ones(len(series))),
    )


def weighted_mean(values: Series, weights: Series) -> float:
    """Mean of the values that are known; NaN where none has weight."""
    known = np.isfinite(values) & (weights > 0.0)
    total = float(weights[known].sum())
    return float(values[known] @ weights[known]) / total if total > 0.0 else math.nan
