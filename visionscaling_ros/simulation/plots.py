"""The results of a benchmark as pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use('Agg')
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from visionscaling_ros.simulation.verdict import (
    DEFAULT_POLICY,
    MAP_TOLERANCE,
    PUBLISHED_POLICY,
    Condition,
    means_by_condition,
    meets_target,
)

# Colours of Okabe and Ito, https://jfly.uni-koeln.de/color/, told apart with any colour vision;
# the marker tells them apart without.
STYLES = {
    DEFAULT_POLICY: ('#D55E00', 'o'),
    PUBLISHED_POLICY: ('#0072B2', 's'),
    'oracle': ('#000000', '*'),
    'best_static': ('#666666', 'X'),
    'autoscale': ('#E69F00', '^'),
    'cutedge': ('#009E73', 'v'),
    'dms': ('#CC79A7', 'D'),
    'governor': ('#56B4E9', 'P'),
    'fixed': ('#999999', 'h'),
    'local_only': ('#8C564B', '<'),
    'edge_only': ('#B8A000', '>'),
}
OTHER_STYLE = ('#BBBBBB', '.')
COLUMNS = 3
PANEL_IN = (4.4, 3.1)
DPI = 110

Document = Mapping[str, Any]
Canvas = Figure | SubFigure


def plot_document(path: Path, document: Document) -> list[Path]:
    """Save the figures: one image if ``path`` ends in .png, else one per figure in that folder."""
    conditions = len(means_by_condition(document['rows']))
    if path.suffix == '.png':
        heights = [_height_in(name, conditions) for name in FIGURES]
        figure = plt.figure(figsize=(_width_in(), sum(heights)), layout='constrained')
        parts = figure.subfigures(len(FIGURES), 1, height_ratios=heights)
        for part, draw in zip(parts, FIGURES.values(), strict=True):
            draw(part, document)
        return [_save(figure, path)]
    paths = []
    for name, draw in FIGURES.items():
        size_in = (_width_in(), _height_in(name, conditions))
        figure = plt.figure(figsize=size_in, layout='constrained')
        draw(figure, document)
        paths.append(_save(figure, path / f'{name}.png'))
    return paths


def draw_regret(canvas: Canvas, document: Document) -> None:
    """Cumulative dynamic regret over time, means over seeds, with fitted exponents."""
    curves: dict[Condition, dict[str, list[Mapping[str, Any]]]] = {}
    for curve in document['curves']:
        policies = curves.setdefault((curve['trace'], curve['scenario']), {})
        policies.setdefault(curve['policy'], []).append(curve)
    panels = _panels(canvas, len(curves))
    for axis, (condition, policies) in zip(panels, curves.items(), strict=True):
        for policy, of_seeds in policies.items():
            if policy == 'oracle':
                continue  # 0 by definition but for what it learns of the world's noise
            regret = np.mean([curve['regret'] for curve in of_seeds], axis=0)
            exponent = np.mean([curve['regret_exponent'] for curve in of_seeds])
            color, marker = STYLES.get(policy, OTHER_STYLE)
            axis.plot(
                of_seeds[0]['slots'], np.where(regret > 0.0, regret, math.nan), color=color,
                marker=marker, markevery=max(1, len(regret) // 6), markersize=5,
                linewidth=_width(policy), zorder=2.0 + _width(policy),
                label=f'{exponent:.2f}' if np.any(regret > 0.0) else 'never above 0',
            )  # fmt: skip
        axis.set_xscale('log')
        axis.set_yscale('log', nonpositive='mask')
        axis.legend(
            title='exponent', fontsize='x-small', title_fontsize='x-small', ncols=2, framealpha=0.6
        )
        _label(axis, condition, 'slot', 'cumulative regret (where above 0)')
    _legend(canvas, {policy for policies in curves.values() for policy in policies} - {'oracle'})
    canvas.suptitle('Dynamic regret over time')


def draw_energy_rate(canvas: Canvas, document: Document) -> None:
    """Energy per processed frame against processed rate: right and low is good."""
    conditions = means_by_condition(document['rows'])
    panels = _panels(canvas, len(conditions))
    for axis, (condition, policies) in zip(panels, conditions.items(), strict=True):
        for policy, means in policies.items():
            color, marker = STYLES.get(policy, OTHER_STYLE)
            faces = color if meets_target(means) else 'none'
            axis.scatter(
                means['processed_fps'], means['energy_j_per_frame'], s=60, marker=marker,
                facecolors=faces, edgecolors=color,
            )  # fmt: skip
        axis.set_yscale('log')
        axis.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 3, 5)))
        axis.yaxis.set_major_formatter('{x:g}')
        axis.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
        axis.set_xlim(left=0)
        _label(axis, condition, 'processed frames/s', 'J per processed frame')
    names = {policy for policies in conditions.values() for policy in policies}
    _legend(canvas, names, linestyle='none')
    canvas.suptitle('Energy against rate (hollow: misses the accuracy target)')


def draw_accuracy(canvas: Canvas, document: Document) -> None:
    """Mean accuracy less its target, every policy under every condition."""
    conditions = means_by_condition(document['rows'])
    names = list(dict.fromkeys(policy for policies in conditions.values() for policy in policies))
    axis = canvas.subplots()
    for place, name in enumerate(names):
        gaps = [
            100.0 * (policies[name]['map'] - policies[name]['map_target'])
            for policies in conditions.values()
            if name in policies
        ]
        spread = np.linspace(-0.25, 0.25, len(gaps)) if len(gaps) > 1 else np.zeros(1)
        color, marker = STYLES.get(name, OTHER_STYLE)
        axis.scatter(place + spread, gaps, s=25, color=color, marker=marker)
    axis.axhline(0.0, color='black', linewidth=1)
    axis.axhline(-100.0 * MAP_TOLERANCE, color='black', linewidth=1, linestyle=':')
    axis.set_yscale('symlog', linthresh=1.0)
    axis.yaxis.set_major_formatter('{x:+g}')
    axis.set_xticks(range(len(names)), names, rotation=20, ha='right')
    axis.set_ylabel('mAP less target [points]')
    axis.grid(alpha=0.3)
    canvas.suptitle('Accuracy against target, one mark per condition (dotted: tolerance)')


FIGURES: dict[str, Callable[[Canvas, Document], None]] = {
    'regret': draw_regret,
    'energy_rate': draw_energy_rate,
    'accuracy': draw_accuracy,
}


def _panels(canvas: Canvas, count: int) -> Sequence[Axes]:
    columns = min(count, COLUMNS)
    axes = list(np.ravel(canvas.subplots(_lines(count), columns, squeeze=False)))
    for unused in axes[count:]:
        unused.set_axis_off()
    return axes[:count]


def _legend(canvas: Canvas, policies: set[str], *, linestyle: str = '-') -> None:
    known = [name for name in STYLES if name in policies]
    names = known + sorted(policies - set(known))
    handles = [
        Line2D([], [], color=color, marker=marker, label=name, linestyle=linestyle)
        for name in names
        for color, marker in [STYLES.get(name, OTHER_STYLE)]
    ]
    canvas.legend(handles=handles, loc='outside lower center', ncols=6, fontsize='small')


def _label(axis: Axes, condition: Condition, x_label: str, y_label: str) -> None:
    axis.set_title(', '.join(condition), fontsize='medium')
    axis.set_xlabel(x_label, fontsize='small')
    axis.set_ylabel(y_label, fontsize='small')
    axis.grid(alpha=0.3)


def _width(policy: str) -> float:
    return 2.4 if policy in (DEFAULT_POLICY, PUBLISHED_POLICY) else 1.2


def _lines(count: int) -> int:
    return max(1, -(-count // COLUMNS))


def _width_in() -> float:
    return COLUMNS * PANEL_IN[0]


def _height_in(name: str, conditions: int) -> float:
    return 5.0 if name == 'accuracy' else _lines(conditions) * PANEL_IN[1] + 1.2


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
    return path
