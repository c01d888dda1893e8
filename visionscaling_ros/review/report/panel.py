"""A panel: one figure over time, its legend in words, and what it shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from bokeh.models import (
    BasicTicker,
    BoxZoomTool,
    FixedTicker,
    NumeralTickFormatter,
    Range1d,
)
from bokeh.plotting import figure

from visionscaling_ros.review.report.colours import GREY
from visionscaling_ros.review.report.run_series import Series
from visionscaling_ros.review.report.sheet import Sheet

HEIGHT_PX = 190
_LEFT_PX, _RIGHT_PX = 72, 12  # alike in all, so that their times are one below the other
_HATCHED = 'right_diagonal_line'
_ROOM = 1.08  # above the highest value


@dataclass(frozen=True)
class LegendEntry:
    """A line of the legend.

    :param look: how it is drawn: solid, dashed, dotted, area, hatched or shade.
    :param column: where its values are; empty: it has none to read.
    :param of_bars: the column is one of ``Sheet.bars``.
    :param decimals: digits after the point of the values read.
    """

    label: str
    look: str
    colour: str
    column: str = ''
    of_bars: bool = False
    decimals: int = 1


@dataclass
class Panel:
    """What the page shows of it; ``figure`` is None where there is nothing to draw."""

    title: str
    unit: str
    about: str
    figure: figure | None = None
    missing: str = ''
    wide: bool = False
    legend: list[LegendEntry] = field(default_factory=list)


class PanelBuilder:
    """Draws a panel.

    :param unit: of the axis; all values are in it.
    :param about: what it shows, in a sentence.
    :param low: lowest value of the axis; None: by the data.
    :param wide: as wide as the page, where two others have room side by side.
    """

    def __init__(
        self,
        sheet: Sheet,
        title: str,
        unit: str,
        about: str,
        *,
        low: float | None = 0.0,
        wide: bool = False,
    ) -> None:
        self._sheet, self._low = sheet, low
        self._panel = Panel(title, unit, about, wide=wide)
        self._seen: list[Series] = []
        self._y_range = Range1d(start=0.0, end=1.0)
        self._figure = figure(
            height=HEIGHT_PX,
            sizing_mode='stretch_width',
            x_range=sheet.x_range,
            y_range=self._y_range,
            tools=[BoxZoomTool(dimensions='width')],
            toolbar_location=None,
            min_border_left=_LEFT_PX,
            min_border_right=_RIGHT_PX,
            min_border_top=6,
            background_fill_alpha=0.0,
            border_fill_alpha=0.0,
            outline_line_color=None,
            output_backend='canvas',
            x_axis_label='time [s]',
            y_axis_label=unit or None,
            name=title,
        )
        self._figure.xaxis.ticker = BasicTicker(desired_num_ticks=6)
        self._figure.xaxis.formatter = NumeralTickFormatter(format='0,0.[00]')
        self._figure.yaxis.ticker = BasicTicker(desired_num_ticks=4, num_minor_ticks=0)
        self._figure.yaxis.formatter = NumeralTickFormatter(format='0,0.[0000]')
        for axis in (self._figure.xaxis[0], self._figure.yaxis[0]):
            axis.axis_label_text_font_style = 'normal'
            axis.axis_label_text_font_size = '12px'
            axis.major_label_text_font_size = '12px'
            axis.axis_label_standoff = 4
        self._figure.xgrid.grid_line_color = None

    def line(
        self,
        label: str,
        values: Series,
        colour: str,
        look: str = 'solid',
        *,
        decimals: int = 1,
        width: float = 1.8,
    ) -> PanelBuilder:
        """A line that is level in every slot."""
        if not np.isfinite(values).any():
            self._panel.legend.append(LegendEntry(f'{label}: not known', look, colour))
            return self
        column = self._sheet.add_line_column(values)
        self._figure.line(
            't', column, source=self._sheet.lines, color=colour, line_dash=look, line_width=width
        )
        self._seen.append(values)
        self._panel.legend.append(LegendEntry(label, look, colour, column, decimals=decimals))
        return self

    def stack(
        self, parts: Sequence[tuple[str, Series, str, bool]], *, decimals: int = 1
    ) -> PanelBuilder:
        """Areas on top of one another: label, values, colour and whether it is hatched."""
        bottom: Series = np.zeros(len(self._sheet.bars.data['left']))
        for label, values, colour, hatched in parts:
            top = bottom + np.nan_to_num(values)
            self._area(
                self._sheet.add_bar_column(bottom), self._sheet.add_bar_column(top), colour, hatched
            )
            look = 'hatched' if hatched else 'area'
            column = self._sheet.add_bar_column(values)
            self._panel.legend.append(
                LegendEntry(label, look, colour, column, of_bars=True, decimals=decimals)
            )
            self._seen.append(np.where(np.isfinite(values), top, math.nan))
            bottom = top
        return self

    def band(self, label: str, low: Series, high: Series, colour: str) -> PanelBuilder:
        """Between two values of every slot; nothing where one is not known."""
        if np.isfinite(low + high).any():
            self._figure.quad(
                left='left',
                right='right',
                bottom=self._sheet.add_bar_column(low),
                top=self._sheet.add_bar_column(high),
                source=self._sheet.bars,
                fill_color=colour,
                fill_alpha=0.25,
                line_color=None,
            )
            self._seen += [low, high]
            self._panel.legend.append(LegendEntry(label, 'shade', colour))
        return self

    def shade(self, label: str, stretches: Sequence[tuple[float, float]]) -> PanelBuilder:
        """Grey over the whole height during stretches of time [s]."""
        if stretches:
            self._figure.vstrip(
                x0=[begin for begin, _ in stretches],
                x1=[end for _, end in stretches],
                fill_color=GREY,
                fill_alpha=0.18,
                line_color=None,
                hatch_pattern=_HATCHED,
                hatch_color=GREY,
                hatch_alpha=0.35,
                hatch_scale=8,
                level='underlay',
            )
            self._panel.legend.append(LegendEntry(label, 'hatched', GREY))
        return self

    def rows(self, rows: Mapping[str, Series], colour: str) -> PanelBuilder:
        """A strip for each name, filled in slots whose value is 1; the first on top."""
        for index, values in enumerate(reversed(list(rows.values()))):
            filled = np.where(values > 0.0, 1.0, math.nan)
            low, high = index + 0.12, index + 0.88
            self._area(
                self._sheet.add_bar_column(filled * low),
                self._sheet.add_bar_column(filled * high),
                colour,
                hatched=False,
            )
            self._seen.append(np.full(1, len(rows)) / _ROOM)
        names = list(reversed(list(rows)))
        axis = self._figure.yaxis[0]
        axis.ticker = FixedTicker(ticks=[index + 0.5 for index in range(len(names))])
        axis.major_label_overrides = {index + 0.5: name for index, name in enumerate(names)}
        self._figure.ygrid.grid_line_color = None
        return self

    def levels(self, ticks: Sequence[float]) -> PanelBuilder:
        """A grid line at every one of these values."""
        if ticks:
            self._figure.ygrid.ticker = FixedTicker(ticks=list(ticks))
        return self

    def built(self, missing: str) -> Panel:
        """The panel, changes of settings marked; without data the sentence ``missing`` for it."""
        finite = np.concatenate([np.zeros(0), *[v[np.isfinite(v)] for v in self._seen]])
        if not finite.size:
            self._panel.missing = missing
            self._panel.legend.clear()
            return self._panel
        lowest, highest = float(finite.min()), float(finite.max())
        low = min(self._low, lowest) if self._low is not None else lowest
        spread = highest - low or abs(highest) or 1.0
        margin = (_ROOM - 1.0) * spread
        begins_at = low if self._low is not None and lowest >= self._low else low - margin
        self._y_range.start, self._y_range.end = begins_at, low + spread + margin
        if self._sheet.changes_s:
            self._figure.vspan(
                x=self._sheet.changes_s, line_color=GREY, line_dash='dotdash', line_width=1.2
            )
        self._panel.figure = self._figure
        return self._panel

    def _area(self, bottom: str, top: str, colour: str, hatched: bool) -> None:
        self._figure.quad(
            left='left',
            right='right',
            bottom=bottom,
            top=top,
            source=self._sheet.bars,
            fill_color=colour,
            line_color=colour,
            line_width=0.7,
            hatch_pattern=_HATCHED if hatched else None,
            hatch_color='white',
            hatch_alpha=0.55,
            hatch_scale=7,
        )
