"""An answer as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use('Agg')
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from visionscaling_ros.review.picture import save_picture
from visionscaling_ros.review.whatif.figures import METRIC
from visionscaling_ros.review.whatif.tables import NAMES
from visionscaling_ros.review.whatif.what_if import MEASURED, RECORDED, Estimate, WhatIf

_PANELS = (
    'power_w', 'energy_j_per_frame', 'processed_fps', 'map', 'latency_local_p95_s',
    'latency_edge_p95_s', 'dropped_fps', 'regret_per_slot',
)  # fmt: skip
_TITLES = {
    'power_w': 'mean power [W]',
    'energy_j_per_frame': 'energy [J/processed frame]',
    'processed_fps': 'processed [frames/s]',
    'map': 'accuracy [mAP]',
    'latency_local_p95_s': 'local latency, p95 [ms]',
    'latency_edge_p95_s': 'edge latency, p95 [ms]',
    'dropped_fps': 'dropped [frames/s]',
    'regret_per_slot': 'regret against the best [1/slot]',
}
# Colours of Okabe and Ito, https://jfly.uni-koeln.de/color/
_MEASURED, _RECORDED, _OTHER, _DOUBTED = '#000000', '#D55E00', '#0072B2', '#BBBBBB'


def plot_what_if(path: Path, answers: Sequence[WhatIf]) -> None:
    """Bars of every policy with what each may be off; a row of panels per four figures and run.

    :raises InvalidValueError: the file cannot be written.
    """
    rows = 2 * len(answers)
    policies = max(len(answer.rows) for answer in answers)
    height_in = 0.9 + 0.27 * policies
    figure, axes = plt.subplots(
        rows, 4, figsize=(16.0, rows * height_in + 0.6), squeeze=False, layout='constrained'
    )
    for place, answer in enumerate(answers):
        own = axes[2 * place : 2 * place + 2].ravel()
        for axis, name in zip(own, _PANELS, strict=True):
            _draw(axis, answer, name)
        for k in (0, 4):
            own[k].set_yticks(range(len(answer.rows)), [_label(row) for row in answer.rows])
        own[0].set_title(f'{answer.namespace}, recorded: {answer.policy}', loc='left')
    figure.suptitle('What if another policy had decided; whiskers: what the model may be off')
    save_picture(figure, path)


def _draw(axis: Axes, answer: WhatIf, name: str) -> None:
    scale = METRIC[name].scale
    for place, row in enumerate(answer.rows):
        value = getattr(row.figures, name)
        off = None if row.uncertainty is None else scale * row.uncertainty[name]
        axis.barh(
            place, scale * value, xerr=off, color=_color(row), height=0.7, error_kw={'capsize': 2}
        )
    axis.set_ylim(len(answer.rows) - 0.5, -0.5)
    axis.set_yticks([])
    axis.set_xlabel(_TITLES[name])
    axis.grid(axis='x', alpha=0.3)


def _color(row: Estimate) -> str:
    if row.doubt:
        return _DOUBTED
    return {MEASURED: _MEASURED, RECORDED: _RECORDED}.get(row.policy, _OTHER)


def _label(row: Estimate) -> str:
    return NAMES.get(row.policy, row.policy)
