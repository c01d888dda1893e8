"""A search as a picture."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use('Agg')
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from visionscaling_ros.review.picture import save_picture
from visionscaling_ros.review.tune.goal import OBJECTIVES
from visionscaling_ros.review.tune.result import TuneResult
from visionscaling_ros.review.whatif.figures import METRIC

# Colours of Okabe and Ito, https://jfly.uni-koeln.de/color/
_REACHES, _MISSES, _BEST, _BEFORE = '#0072B2', '#BBBBBB', '#D55E00', '#000000'


def plot_result(path: Path, result: TuneResult) -> None:
    """Trials in order, and what each came to against the bounds.

    :raises InvalidValueError: the file cannot be written.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(13.0, 5.0), layout='constrained')
    _draw_progress(left, result)
    _draw_figures(right, result)
    figure.suptitle(f'{result.policy}: {result.goal.words}')
    save_picture(figure, path)


def _draw_progress(axis: Axes, result: TuneResult) -> None:
    name, sign, words = OBJECTIVES[result.goal.objective]
    scores = np.array([sign * tried.score for tried in result.tried])
    reaches = np.array([tried.reaches for tried in result.tried])
    trials = np.arange(1, len(scores) + 1)
    axis.scatter(trials[~reaches], scores[~reaches], s=14, color=_MISSES, label='misses a bound')
    axis.scatter(trials[reaches], scores[reaches], s=14, color=_REACHES, label='keeps all bounds')
    if reaches.any():
        best = np.minimum.accumulate(np.where(reaches, sign * scores, math.inf))
        axis.step(
            trials, np.where(np.isfinite(best), sign * best, np.nan), where='post', color=_BEST,
            label='best so far',
        )  # fmt: skip
    axis.set_xlabel('trial')
    axis.set_ylabel(f'{METRIC[name].long} ({words})')
    axis.grid(alpha=0.3)
    axis.legend(fontsize='small')


def _draw_figures(axis: Axes, result: TuneResult) -> None:
    """Rate against power, mean over the runs, of every trial."""

    def place(name: str, which: str) -> float:
        parts = [getattr(compared, which).searched for compared in result.compared]
        return float(np.mean([getattr(part, name) for part in parts]))

    for reaches, color in ((False, _MISSES), (True, _REACHES)):
        tried = [t for t in result.tried if t.reaches is reaches]
        axis.scatter(
            [np.mean([p.searched.power_w for p in t.parts]) for t in tried],
            [np.mean([p.searched.processed_fps for p in t.parts]) for t in tried],
            s=14, color=color,
        )  # fmt: skip
    for which, color, marker in (('before', _BEFORE, 'X'), ('after', _BEST, '*')):
        axis.scatter(
            place('power_w', which), place('processed_fps', which), s=120, color=color,
            marker=marker, label=f'{which} tuning',
        )  # fmt: skip
    if result.goal.max_power_w is not None:
        axis.axvline(result.goal.max_power_w, color=_BEFORE, linestyle=':', linewidth=1)
    if result.goal.min_fps is not None:
        axis.axhline(result.goal.min_fps, color=_BEFORE, linestyle=':', linewidth=1)
    axis.set_xlabel('mean power [W]')
    axis.set_ylabel('processed [frames/s]')
    axis.grid(alpha=0.3)
    axis.legend(fontsize='small')
