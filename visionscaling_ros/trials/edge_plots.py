"""Pictures of the bridge's trials."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use('Agg')
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from visionscaling_ros.trials.capacity import Run

# Colours of Okabe and Ito, https://jfly.uni-koeln.de/color/.
TRUTH, ESTIMATE = '#000000', '#D55E00'
COLUMNS = 3
PANEL_IN = (5.0, 2.6)
DPI = 110


def plot_capacity(runs: Sequence[Run], file: Path) -> Path:
    """Real and estimated capacity over time, a panel for each run."""
    rows = -(-len(runs) // COLUMNS)
    figure, panels = plt.subplots(
        rows,
        COLUMNS,
        figsize=(COLUMNS * PANEL_IN[0], rows * PANEL_IN[1]),
        layout='constrained',
        squeeze=False,
    )
    for panel in panels.flat[len(runs) :]:
        panel.set_axis_off()
    for panel, run in zip(panels.flat, runs, strict=False):
        panel.fill_between(
            run.times_s,
            run.lows_bps / 1e6,
            run.highs_bps / 1e6,
            color=ESTIMATE,
            alpha=0.25,
            linewidth=0,
            label='80 % interval',
        )
        panel.plot(run.times_s, run.estimates_bps / 1e6, color=ESTIMATE, label='estimate')
        panel.plot(run.times_s, run.truths_bps / 1e6, color=TRUTH, linewidth=1, label='uplink')
        panel.set_title(f'{run.name}, load {run.load:g}', fontsize=9)
        panel.set_ylim(0.0, 1.3e-6 * max(run.truths_bps.max(), 1.0))
        panel.set_xlabel('time [s]')
        panel.set_ylabel('Mbit/s')
    panels[0, 0].legend(fontsize=8)
    return _save(figure, file)


def plot_pacing(slots: Sequence[dict[str, float]], allowed_error: float, file: Path) -> Path:
    """Decided rates, and how far what left and arrived was from them."""
    figure, (rates, errors) = plt.subplots(
        2, 1, figsize=(9.0, 5.0), layout='constrained', sharex=True
    )
    starts_s = [slot['start_s'] for slot in slots]
    rates.step(starts_s, [slot['decided_bps'] / 1e6 for slot in slots], where='post', color=TRUTH)
    rates.set_yscale('log')
    rates.set_ylabel('decided [Mbit/s]')
    for name, marker in (('sent', 'o'), ('arrived', 'x')):
        found = [100.0 * (slot[f'{name}_bps'] / slot['decided_bps'] - 1.0) for slot in slots]
        errors.plot(starts_s, found, marker, label=name, color=ESTIMATE, alpha=0.7)
    errors.axhspan(-100.0 * allowed_error, 100.0 * allowed_error, color='0.9', zorder=0)
    errors.set_ylabel('error of the slot [%]')
    errors.set_xlabel('time [s]')
    errors.legend(fontsize=8)
    return _save(figure, file)


def _save(figure: Any, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=DPI)
    plt.close(figure)
    return file
