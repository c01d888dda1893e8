"""Panels of what was decided for the frames and what became of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from visionscaling_ros.review.report.colours import BLUE, DROPS, GREY, ORANGE, VERMILION, ramp
from visionscaling_ros.review.report.panel import Panel, PanelBuilder
from visionscaling_ros.review.report.run_series import RunSeries, Series
from visionscaling_ros.review.report.run_view import RunView
from visionscaling_ros.review.report.sheet import Sheet
from visionscaling_ros.review.report.wording import count
from visionscaling_ros.watch.words import plain_name

_RATE = 'frames/s'
_MOST_SHOWN = 8  # configurations with a colour of their own


def frame_panels(view: RunView, sheet: Sheet) -> Iterator[Panel]:
    """Allocations, fates of frames, drops by reason, and how long frames took."""
    series = view.series
    yield (
        PanelBuilder(
            sheet, 'Decided allocations', _RATE,
            'Which detector and input size [px] is to run how many frames, and where.',
        )
        .stack(_allocations(series))
        .line('frames that arrived', series.state('arrival_fps'), GREY, 'dashed')
        .built('No decision is in the bag.')
    )  # fmt: skip
    yield (
        PanelBuilder(
            sheet, 'What became of the frames', _RATE, 'Frames of every slot by where they ended.'
        )
        .stack(
            [
                ('processed on the robot', series.state('processed_local_fps'), BLUE, False),
                ('processed at the edge', series.state('processed_edge_fps'), ORANGE, True),
                ('dropped', series.state('dropped_fps'), VERMILION, False),
            ]
        )
        .line('expected to be processed', series.decided('expected_processed_fps'), GREY, 'dashed')
        .built('No frames are in the slots.')
    )
    yield (
        PanelBuilder(sheet, 'Drops by reason', 'frames', 'Frames dropped in every slot.')
        .stack(_drops(series), decimals=0)
        .built('No frame was dropped for a known reason.')
    )
    yield (
        PanelBuilder(
            sheet, 'Latency', 'ms',
            '95th percentile of the time from the arrival of a frame to its result.',
        )
        .line('on the robot', series.state('latency_local_p95_s', 1e3), BLUE)
        .line('at the edge', series.state('latency_edge_p95_s', 1e3), ORANGE, 'dashed')
        .built('No latency was measured: no frame was processed.')
    )  # fmt: skip


def _allocations(series: RunSeries) -> list[tuple[str, Series, str, bool]]:
    """Those of most frames, and what is left of the others as one."""
    rates = series.configurations(lambda slot: slot.decision.allocations if slot.decision else ())
    undecided = np.array([slot.decision is None for slot in series.slots])
    by_frames = sorted(rates, key=lambda key: float(rates[key].sum()), reverse=True)
    shown = [key for key in rates if key in by_frames[:_MOST_SHOWN]]
    amounts = {place: sum(key[2] == place for key in shown) for place in (0, 1)}
    parts = []
    for index, (model, size_px, place) in enumerate(shown):
        nth = index - (amounts[0] if place else 0)
        colour = ramp(bool(place), nth, amounts[place])
        label = f'{plain_name(model)}@{size_px} {"at the edge" if place else "on the robot"}'
        values = np.where(undecided, np.nan, rates[model, size_px, place])
        parts.append((label, values, colour, bool(place)))
    others = by_frames[_MOST_SHOWN:]
    if others:
        left = np.where(undecided, np.nan, sum(rates[key] for key in others))
        parts.append((count(len(others), 'other configuration'), left, GREY, False))
    return parts


def _drops(series: RunSeries) -> list[tuple[str, Series, str, bool]]:
    names = sorted({name for slot in series.slots for name in slot.state.drop_counts})
    parts = []
    for index, name in enumerate(names):
        values = series.of(lambda slot, name=name: slot.state.drop_counts.get(name, 0))  # type: ignore[misc]
        if values.any():
            colour = DROPS[index % len(DROPS)]
            label = plain_name(name).replace('_', ' ')
            parts.append((label, values, colour, index >= len(DROPS)))
    return parts
