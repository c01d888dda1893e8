"""An answer as tables and sentences for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from visionscaling_ros.review.whatif.figures import METRIC, Metric
from visionscaling_ros.review.whatif.what_if import MEASURED, RECORDED, Estimate, WhatIf

LIKE_RECORDED, DOUBTED = '~', '?'
NAMES = {MEASURED: 'measured in the bag', RECORDED: 'same, by the model'}
COSTS = ('power_w', 'energy_j', 'energy_j_per_frame', 'processed_fps', 'map', 'dropped_frames')
TIMES = (
    'latency_local_mean_s', 'latency_local_p95_s', 'latency_edge_mean_s', 'latency_edge_p95_s',
    'regret_per_slot',
)  # fmt: skip
ERRORS = 'Error of the model where it was not fitted, % (bias: of the whole; each: of single slots)'
BELOW_THE_BEST = (
    'regret: cost over the best of each slot by itself that meets the target and keeps to the '
    'limits set; below 0: slots made good for one another, or went past a limit.'
)
_WIDE = 136  # columns that all figures take beside each other


def print_what_if(console: Console, answer: WhatIf, *, title: str) -> None:
    """The table of policies, the model's error beneath, and what both mean."""
    for place, names in enumerate(_groups(console)):
        console.print(_policies(answer, names, title if place == 0 else ''))
    words = [
        f'{LIKE_RECORDED} differs from "{NAMES[RECORDED]}" by no more than the model may be off: '
        'not to be told apart. known: share of the frames that ran as some in the bag did.',
        *(f'{DOUBTED} {row.policy} {row.doubt}.' for row in answer.rows if row.doubt),
    ]
    if any(row.figures.regret_per_slot < 0.0 for row in answer.rows):
        words.append(BELOW_THE_BEST)
    for line in words:
        console.print(line, markup=False, highlight=False)
    for place, names in enumerate(_groups(console)):
        judged = [name for name in names if name != 'regret_per_slot']
        console.print(_errors(answer, judged, ERRORS if place == 0 else ''))
    for line in answer.limits:
        console.print(f'- {line}', markup=False, highlight=False)


def cell(row: Estimate, metric: Metric) -> str:
    """A figure as text, marked where it cannot be told from the recorded decisions'."""
    mark = LIKE_RECORDED if metric.name in row.like_recorded else ''
    return metric.text(getattr(row.figures, metric.name)) + mark


def _groups(console: Console) -> tuple[tuple[str, ...], ...]:
    """Figures of a table each, as the terminal has room for."""
    return ((*COSTS, *TIMES),) if console.width >= _WIDE else (COSTS, TIMES)


def _policies(answer: WhatIf, names: Sequence[str], title: str) -> Table:
    table = _table(title, 'policy', [METRIC[name].heading for name in names])
    table.add_column('known', justify='right', no_wrap=True)
    for row in answer.rows:
        name = NAMES.get(row.policy, row.policy) + (f' {DOUBTED}' if row.doubt else '')
        known = '-' if math.isnan(row.known_share) else f'{100.0 * row.known_share:.0f} %'
        if row.policy in NAMES:
            known = ''
        table.add_row(name, *[cell(row, METRIC[figure]) for figure in names], known)
    return table


def _errors(answer: WhatIf, names: Sequence[str], title: str) -> Table:
    headings = ['', *(METRIC[name].short for name in names)]
    table = _table(title, 'left out of the fit', headings)
    for error in (answer.trust.error, answer.trust.elsewhere):
        if error is None:
            continue
        for label, kind in (('bias', 'bias_percent'), ('each', 'slot_percent')):
            percents = [getattr(error.by_metric[name], kind) for name in names]
            cells = ['-' if math.isnan(p) else f'{p:{"+" if kind == "bias_percent" else ""}.1f}'
                     for p in percents]  # fmt: skip
            table.add_row(error.of if label == 'bias' else '', label, *cells)
    return table


def _table(title: str, first: str, others: Sequence[str]) -> Table:
    table = Table(
        title=title, title_justify='left', box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading, justify='right', no_wrap=True)
    return table
