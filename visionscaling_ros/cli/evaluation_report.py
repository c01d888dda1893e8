"""What ``visionscaling evaluate`` shows: a table, a JSON document, a plot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.simulation.document import environment
from visionscaling_ros.vision.cost_trend import CostTrend, cost_trend
from visionscaling_ros.whole_file import whole_file

if TYPE_CHECKING:
    from visionscaling_ros.vision.accuracy_table import Measured
    from visionscaling_ros.vision.evaluation import PointScore

WIDTH = 132
# Colours of Okabe and Ito, https://jfly.uni-koeln.de/color/, told apart with any colour vision;
# the marker tells them apart without.
COLORS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000')
MARKERS = 'osD^vP*X'


def trend_of(scores: Sequence[PointScore]) -> CostTrend:
    """How mAP follows FLOPs over these points."""
    return cost_trend(
        {(score.model, score.input_size_px): score.map_50_95 for score in scores},
        {(score.model, score.input_size_px): score.flops for score in scores},
    )


def print_table(scores: Sequence[PointScore], title: str) -> None:
    """One line a point, and how accuracy follows cost."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    domains = list(dict.fromkeys(name for score in scores for name in score.domains_map_50_95))
    classes = _shown_classes(scores)
    table = Table('model', 'input px', 'mAP 50:95', 'mAP 50', *domains, *classes, 'GFLOPs',
                  'forward ms', title=title)  # fmt: skip
    for score in scores:
        table.add_row(
            score.model,
            str(score.input_size_px),
            _share(score.map_50_95),
            _share(score.map_50),
            *(_share(score.domains_map_50_95.get(name, math.nan)) for name in domains),
            *(_share(score.classes_map_50_95.get(name, math.nan)) for name in classes),
            '-' if math.isnan(score.flops) else f'{score.flops / 1e9:.3f}',
            f'{score.forward_s * 1e3:.1f}',
        )
    console = Console(width=WIDTH, highlight=False)
    console.print(table)
    trend = trend_of(scores)
    console.print(
        f'Kendall tau-b of mAP against FLOPs: {_share(trend.overall)} over all points; '
        f'over input sizes {_taus(trend.along_size)}; over models {_taus(trend.along_model)}\n'
        f'FLOPs of the dearest point over the cheapest: '
        f'{"-" if math.isnan(trend.cost_ratio) else round(trend.cost_ratio, 1)}',
        soft_wrap=True,
    )


def document(scores: Sequence[PointScore], measured: Measured) -> dict[str, Any]:
    """All figures, for ``write_json``."""
    trend = trend_of(scores)
    return {
        'meta': {**environment(), **asdict(measured)},
        'points': [asdict(score) for score in scores],
        'trend': {
            'kendall_tau_b': trend.overall,
            'along_input_size': dict(trend.along_size),
            'along_model': {str(size_px): tau for size_px, tau in trend.along_model.items()},
            'cost_ratio': trend.cost_ratio,
        },
    }


def save_plot(path: Path, scores: Sequence[PointScore], title: str) -> None:
    """mAP against computation, a line a model; raises InvalidValueError if it cannot be saved."""  # noqa: D403
    import matplotlib as mpl  # noqa: PLC0415 (slow import)

    mpl.use('Agg')
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axis = plt.subplots(figsize=(7.0, 4.6), layout='constrained')
    models = list(dict.fromkeys(score.model for score in scores))
    for number, model in enumerate(models):
        points = [s for s in scores if s.model == model and not math.isnan(s.flops)]
        axis.plot(
            [s.flops / 1e9 for s in points], [s.map_50_95 for s in points], label=model,
            color=COLORS[number % len(COLORS)], marker=MARKERS[number % len(MARKERS)],
        )  # fmt: skip
        for s in points:
            axis.annotate(
                str(s.input_size_px), (s.flops / 1e9, s.map_50_95), fontsize='x-small',
                xytext=(4, -9), textcoords='offset points',
            )  # fmt: skip
    axis.set_xscale('log')
    axis.xaxis.set_major_formatter('{x:g}')
    axis.xaxis.set_minor_formatter('{x:g}')
    axis.tick_params(axis='x', which='minor', labelsize='x-small')
    axis.set_xlabel('computation per picture [GFLOPs]; at each mark the input size [px]')
    axis.set_ylabel('COCO mAP 50:95 [0 to 1]')
    axis.set_title(title, fontsize='medium')
    axis.grid(alpha=0.3)
    axis.legend(fontsize='small')
    try:
        with whole_file(path) as partial:
            figure.savefig(partial, dpi=110)
    except (OSError, ValueError) as error:  # ValueError: a suffix matplotlib does not know
        raise InvalidValueError('--plot', str(path), f'an image file to write ({error})') from error
    finally:
        plt.close(figure)


def _shown_classes(scores: Sequence[PointScore]) -> list[str]:
    """Classes some picture shows, if they fit on a line."""
    classes = [
        name
        for name in dict.fromkeys(name for s in scores for name in s.classes_map_50_95)
        if any(not math.isnan(s.classes_map_50_95.get(name, math.nan)) for s in scores)
    ]
    return classes if len(classes) <= 6 else []


def _taus(taus: Mapping[Any, float]) -> str:
    known = [f'{name} {tau:.2f}' for name, tau in taus.items() if not math.isnan(tau)]
    return ', '.join(known) or '-'


def _share(value: float) -> str:
    return '-' if math.isnan(value) else f'{value:.3f}'
