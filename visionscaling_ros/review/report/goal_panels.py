"""Panels of what is asked for: accuracy and cost."""

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


def goal_panels(view: RunView, sheet: Sheet) -> Iterator[Panel]:
    """mAP, what is owed of it, cost and regret."""
    series = view.series
    measured, table, target = series.measured_map, series.table_map, series.target_map
    achieved = np.concatenate([measured, table])
    known = np.concatenate([achieved[np.isfinite(achieved)], target])
    frames = series.processed_fps * series.duration_s
    highest = np.full(len(series), float(known.max()))
    yield (
        PanelBuilder(
            sheet, 'Accuracy', 'mAP 50:95',
            'mAP of the processed frames, against ground truth where there is one and by the '
            'accuracy table, which the controller goes by. Shaded: the target is met.', low=None,
        )
        .band('target met', target, highest, GREEN)
        .line('target', target, GREEN, 'dotted', decimals=3)
        .line('expected', series.decided('expected_map'), ORANGE, 'dashed', decimals=3)
        .line('average since the begin, by table', _average(table, frames), GREY, decimals=3)
        .line('measured', measured, PURPLE, decimals=3)
        .line('by table', table, BLUE, decimals=3)
        .built('The accuracy is not known.')
    )  # fmt: skip
    yield (
        PanelBuilder(
            sheet, 'Accuracy owed', 'mAP frames/s',
            'How far the frames so far fall short of the target in all; 0: it is met.',
        )
        .line('owed', series.state('cumulative_fit'), VERMILION, decimals=2)
        .built('Not known.')
    )  # fmt: skip
    yield (
        PanelBuilder(
            sheet, 'Cost', 'cost',
            'Power as a share of the most, weighted, less what the processed rate is worth: the '
            'lower the better.', low=None,
        )
        .line('expected', series.decided('expected_cost'), ORANGE, 'dotted', decimals=3)
        .line('best for the slot', view.optimum, GREEN, 'dashed', decimals=3)
        .line('of the slot', series.state('cost'), BLUE, decimals=3)
        .built('The cost is not known: it takes the power of every slot.')
    )  # fmt: skip
    yield (
        PanelBuilder(
            sheet, 'Regret', 'cost, summed',
            'Cost of the slots less that of the best decisions, which know the slot beforehand and '
            'meet the target in it. Below 0: slots made good for others, or missed the target.',
        )
        .line('since the begin', _running(series.state('cost') - view.optimum), PURPLE, decimals=3)
        .built(f'Regret is not known: {view.no_optimum or "it takes the power of every slot"}.')
    )  # fmt: skip


def _running(values: Series) -> Series:
    """Sum of what is known so far; NaN where the slot is not."""
    return np.where(np.isfinite(values), np.nancumsum(values), np.nan)


def _average(values: Series, weights: Series) -> Series:
    """Weighted mean of what is known so far; NaN before anything is."""
    known = np.isfinite(values) & np.isfinite(weights) & (weights > 0.0)
    summed = np.cumsum(np.where(known, values * weights, 0.0))
    weight = np.cumsum(np.where(known, weights, 0.0))
    average: Series = np.full(len(values), np.nan)
    np.divide(summed, weight, out=average, where=weight > 0.0)
    return average
