"""Panels of why it was decided so."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from visionscaling_ros.datatypes import Binding
from visionscaling_ros.review.report.colours import BLUE, GREEN, PURPLE
from visionscaling_ros.review.report.panel import Panel, PanelBuilder
from visionscaling_ros.review.report.run_view import RunView
from visionscaling_ros.review.report.sheet import Sheet
from visionscaling_ros.watch.explanation_words import is_explained, runner_up_gap

_STRIPS = {
    'accuracy': Binding.ACCURACY,
    'arrivals': Binding.ARRIVALS,
    'compute': Binding.COMPUTE,
    'clock': Binding.CLOCK,
    'uplink': Binding.UPLINK,
    'server': Binding.SERVER,
}
_UNEXPLAINED = 'No decision of this run was explained.'


def decision_panels(view: RunView, sheet: Sheet) -> Iterator[Panel]:
    """Binding constraints, multiplier and the runner-up."""
    series = view.series
    decisions = [slot.decision for slot in series.slots]
    explained = [d is not None and is_explained(d.explanation) for d in decisions]
    panel = PanelBuilder(
        sheet, 'Limits reached', '',
        'Filled: the decision was at that limit. accuracy: at the target; arrivals: every frame '
        'is processed; compute: the robot is as busy as it may be; clock: the highest allowed; '
        'uplink, server: what can be counted on is used up.', wide=True,
    )  # fmt: skip
    if any(explained):
        panel.rows(
            {
                name: np.array(
                    [bool(d and d.explanation.binding_constraints & limit) for d in decisions]
                ).astype(np.float64)
                for name, limit in _STRIPS.items()
            },
            BLUE,
        )
    yield panel.built(_UNEXPLAINED)
    yield (
        PanelBuilder(
            sheet, 'Price of accuracy', 'cost per mAP frame/s',
            'Multiplier of the accuracy constraint: what accuracy was worth to the decision.',
        )
        .line('multiplier', series.decided('multiplier'), PURPLE, decimals=3)
        .built('No decision is in the bag.')
    )  # fmt: skip
    yield (
        PanelBuilder(
            sheet, 'Distance to the runner-up', 'cost',
            'What the next best other decision would have cost more, accuracy priced in; '
            'below 0: less.',
        )
        .line('cost more', series.of(
            lambda slot: runner_up_gap(slot.decision) if slot.decision else math.nan
        ), GREEN, decimals=3)
        .built(_UNEXPLAINED)
    )  # fmt: skip
