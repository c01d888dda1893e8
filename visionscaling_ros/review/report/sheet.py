"""The data and the axis of time that the panels of a section share."""

from __future__ import annotations

import numpy as np
from bokeh.models import ColumnDataSource, Range1d

from visionscaling_ros.review.report.run_series import RunSeries, Series


class Sheet:
    """Columns of a section, in the two shapes that browsers draw.

    Areas take a row per slot; lines take its begin and its end, so that a value holds for all of
    the slot and nothing is drawn where a slot or a value is missing.

    :ivar bars: ``left``, ``right``, a row per slot, and ``row``, its first row in ``lines``.
    :ivar lines: ``t``, two rows per slot and an empty one before a gap.
    :ivar x_range: the stretch of time that is shown.
    :ivar changes_s: when settings were changed [s].
    """

    def __init__(self, series: RunSeries) -> None:
        self._first_rows = _first_rows(series)
        self._rows = int(self._first_rows[-1]) + 2
        self.bars = ColumnDataSource(
            data={
                'left': _single(series.begin_s),
                'right': _single(series.end_s),
                'row': self._first_rows.astype(np.int32),
            }
        )
        times_s = np.full(self._rows, np.nan)
        times_s[self._first_rows], times_s[self._first_rows + 1] = series.begin_s, series.end_s
        self.lines = ColumnDataSource(data={'t': _single(times_s)})
        self.x_range = Range1d(start=0.0, end=series.last_s, bounds=(0.0, series.last_s))
        self.changes_s = [at_s for at_s, _, _ in series.changes]

    def add_bar_column(self, values: Series) -> str:
        """Name of a new column of ``bars``; values of shape (T,)."""
        name = f'b{len(self.bars.data)}'
        self.bars.data[name] = _single(values)
        return name

    def add_line_column(self, values: Series) -> str:
        """Name of a new column of ``lines``; values of shape (T,)."""
        name = f'l{len(self.lines.data)}'
        column = np.full(self._rows, np.nan)
        column[self._first_rows] = column[self._first_rows + 1] = values
        self.lines.data[name] = _single(column)
        return name


def _first_rows(series: RunSeries) -> np.ndarray:
    gaps = ~series.follows
    gaps[0] = False
    rows: np.ndarray = 2 * np.arange(len(series)) + np.cumsum(gaps)
    return rows


def _single(values: Series) -> np.ndarray:
    """Half the size; a millisecond of an hour is left."""
    single: np.ndarray = np.asarray(values, dtype=np.float32)
    return single
