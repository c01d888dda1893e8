"""Panels of the robot's computer: clock, load, heat, power."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from visionscaling_ros.review.report.colours import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILION,
)
from visionscaling_ros.review.report.panel import Panel, PanelBuilder
from visionscaling_ros.review.report.run_series import Series
from visionscaling_ros.review.report.run_view import RunView
from visionscaling_ros.review.report.sheet import Sheet


def machine_panels(view: RunView, sheet: Sheet) -> Iterator[Panel]:
    """GPU clock, utilisation, temperature and power."""
    series = view.series
    decided_mhz = series.decided('gpu_frequency_hz', 1e-6)
    decided_mhz = np.where(decided_mhz > 0.0, decided_mhz, np.nan)
    levels_mhz = [hz * 1e-6 for hz in series.slots[-1].device.available_frequencies_hz]
    clock = (
        PanelBuilder(
            sheet, 'GPU clock', 'MHz', 'Grid lines are the levels that the clock can be set to.'
        )
        .levels(levels_mhz)
        .line('cap to plan with', series.believed('clock_cap_hz', 1e-6), GREY, 'dotted', decimals=0)
    )
    ceiling_mhz = _ceiling_mhz(view)
    if np.isfinite(ceiling_mhz).any():
        clock.line('ceiling by heat or power mode', ceiling_mhz, PURPLE, 'dotdash', decimals=0)
    yield (
        clock.line('decided', decided_mhz, ORANGE, 'dashed', decimals=0)
        .line('measured', series.state('gpu_frequency_hz', 1e-6), BLUE, decimals=0)
        .built('The clock of the GPU is not known.')
    )
    yield (
        PanelBuilder(
            sheet, 'Load of the robot', '%', 'Share of the slot in which frames were processed.'
        )
        .line('ceiling', series.setting('utilization_ceiling') * 100.0, GREY, 'dotted', decimals=0)
        .line('busy', series.state('gpu_utilization', 100.0), BLUE)
        .built('The load is not known.')
    )
    temperature_c = series.state('gpu_temperature_c')
    limit_c = series.setting('temperature_limit_c')
    panel = PanelBuilder(sheet, 'Temperature', '\N{DEGREE SIGN}C', 'Of the GPU.', low=None).line(
        'GPU', temperature_c, VERMILION
    )
    if np.isfinite(temperature_c).any() and np.nanmax(temperature_c) > 0.8 * limit_c.max():
        panel.line('limit', np.where(limit_c > 0.0, limit_c, np.nan), GREY, 'dotted')
    yield panel.built('The temperature is not known.')
    yield (
        PanelBuilder(
            sheet, 'Power', 'W', 'Of computer, GPU and radio, and what was expected of it.'
        )
        .line('expected', series.decided('expected_power_w'), ORANGE, 'dashed', decimals=2)
        .line(_power_label(view), series.state('power_w'), GREEN, decimals=2)
        .built('The power is not known: there was no reading of a meter or model.')
    )  # fmt: skip


def _power_label(view: RunView) -> str:
    if view.modelled:
        return 'by the power model'
    return 'measured' if view.metered else 'of the slot'


def _ceiling_mhz(view: RunView) -> Series:
    """The last ceiling read in every slot; NaN: there was no reading, or none below infinity."""
    series = view.series
    ceiling = np.full(len(series), np.nan)
    for reading in view.side.gpu:
        slot = int(np.searchsorted(series.end_s, reading.stamp_s - series.origin_s))
        if slot < len(series) and 0.0 < reading.ceiling_hz < np.inf:
            ceiling[slot] = reading.ceiling_hz * 1e-6
    return ceiling
