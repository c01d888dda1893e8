"""A result as tables and sentences for people."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from visionscaling_ros.review.parameter_file import yaml_text
from visionscaling_ros.review.tune.result import Compared, TuneResult


def print_result(console: Console, result: TuneResult) -> None:
    """What to set, what that is expected to change in each run, and what is not reached."""
    console.print(f'{result.policy}: {result.goal.words}', markup=False, highlight=False)
    console.print(_changes(result))
    for compared in result.compared:
        console.print(compared.run.name, markup=False, highlight=False)
        console.print(_figures(result, compared))
    for line in _verdict(result):
        console.print(line, markup=False, highlight=False)


def _changes(result: TuneResult) -> Table:
    table = _table(['parameter', 'recorded', 'tuned'])
    for name, value in result.changes.items():
        recorded = dict.fromkeys(
            yaml_text(getattr(c.run.slots if name == 'policy' else c.run.slots.settings, name))
            for c in result.compared
        )
        table.add_row(name, ', '.join(recorded), yaml_text(value))
    if not result.changes:
        table.add_row('(none: the recorded settings are the best found)', '', '')
    return table


def _figures(result: TuneResult, compared: Compared) -> Table:
    names = result.goal.figures
    table = _table(['', 'slots', *(metric.heading for _, metric in names)])
    rows = (
        ('measured, recorded settings', compared.measured),
        ('model, recorded settings', compared.before),
        ('model, tuned settings', compared.after),
    )
    for label, parts in rows:
        for which, figures in (('searched', parts.searched), ('checked', parts.kept_back)):
            cells = [metric.text(getattr(figures, name)) for name, metric in names]
            table.add_row(label if which == 'searched' else '', which, *cells)
    margins = [metric.text(compared.after.margins[name]) for name, metric in names]
    table.add_row('kept from every bound', '', *margins)
    return table


def _verdict(result: TuneResult) -> list[str]:
    lines = list(result.doubts)
    if not result.reached:
        missed = [
            f'{limit.words} by {100.0 * excess:.1f} %'
            for limit, excess in zip(result.goal.limits, result.best.excess, strict=True)
            if excess > 0.0
        ]
        lines.append(
            "No settings tried reach the bounds with the model's error to spare; the closest "
            f'miss {", ".join(missed)}.'
        )
    for compared, limit in result.missed_when_checked:
        lines.append(f'In the slots kept back of {compared.run.name}, {limit.words} is missed.')
    if result.reached and not result.missed_when_checked:
        lines.append('All bounds are kept, in the slots kept back from the search as well.')
    return lines


def _table(headings: list[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify='right' if place else 'left')
    return table
