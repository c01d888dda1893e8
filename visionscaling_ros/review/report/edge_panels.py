"""Panels of the way to the edge server."""

from __future__ import annotations

import math
from collections.abc import Iterator

from visionscaling_ros.datatypes import SlotState
from visionscaling_ros.review.report.colours import BLUE, GREEN, ORANGE, VERMILION
from visionscaling_ros.review.report.panel import Panel, PanelBuilder
from visionscaling_ros.review.report.run_view import RunView
from visionscaling_ros.review.report.sheet import Sheet

_AWAY = 'edge server out of reach'


def edge_panels(view: RunView, sheet: Sheet) -> Iterator[Panel]:
    """Uplink, and the times the edge takes."""
    series = view.series
    away = series.stretches(series.edge_away)
    yield (
        PanelBuilder(
            sheet, 'Uplink', 'Mbit/s',
            'What the controller believed the uplink to carry, and what was really sent.',
        )
        .shade(_AWAY, away)
        .band(
            'capacity believed, 10 to 90 % quantile',
            series.expected_before(lambda state: _quantile(state, 0)) * 1e-6,
            series.expected_before(lambda state: _quantile(state, -1)) * 1e-6,
            BLUE,
        )
        .line('capacity counted on', series.believed('capacity_bps', 1e-6), BLUE, 'dashed',
              decimals=2)
        .line('capacity estimated by the link', series.state('uplink_capacity_bps', 1e-6), GREEN,
              'dotted', decimals=2)
        .line('sent', series.state('uplink_throughput_bps', 1e-6), VERMILION, decimals=2)
        .built('Nothing is known of the uplink: the bag has no figures of it.')
    )  # fmt: skip
    yield (
        PanelBuilder(
            sheet, 'Times of the edge', 'ms',
            'Round trip of an empty request, and how long frames waited at the server.',
        )
        .shade(_AWAY, away)
        .line('round trip', series.state('rtt_s', 1e3), BLUE)
        .line('waiting at the server', series.state('server_queue_s', 1e3), ORANGE, 'dashed')
        .built('No round trip was measured: the edge server never answered.')
    )  # fmt: skip


def _quantile(state: SlotState, index: int) -> float:
    quantiles_bps = state.beliefs.capacity_quantiles_bps
    return quantiles_bps[index] if quantiles_bps else math.nan
