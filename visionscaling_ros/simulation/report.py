"""The results of a benchmark as tables, for people."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from visionscaling_ros.simulation.verdict import (
    DEFAULT_POLICY,
    PUBLISHED_POLICY,
    Claim,
    Condition,
    Row,
    against_best_static,
    best_rival,
    claims,
    means_by_condition,
    meets_target,
    regret_reduction,
)

HEADINGS = (
    'policy', 'regret', 'vs best rival', 'mAP - target', 'J/frame', 'frames/s', 'p95 ms',
    'dropped', 'switches', 'decision ms',
)  # fmt: skip
MOST_PERCENT = 999.0
FILE_COLUMNS = 140

OVERVIEW_HEADINGS = (
    'condition', 'best rival', 'meta regret', 'published', 'mAP - target', 'J/frame vs static',
    'frames/s vs static',
)  # fmt: skip
DECISION_HEADINGS = (
    'policy', 'decide ms', 'p95', 'p99', 'on CPU ms', 'p95', 'p99', 'with observe ms', 'p95',
    'p99', 'over reference',
)  # fmt: skip
SIMULATION_HEADINGS = ('policy', 'slots/s')

Intervals = Mapping[str, Any]  # an entry of the summary


def by_condition(summary: Iterable[Intervals]) -> dict[Condition, list[Intervals]]:
    """The entries of the summary under each condition."""
    groups: dict[Condition, list[Intervals]] = {}
    for entry in summary:
        groups.setdefault((entry['trace'], entry['scenario']), []).append(entry)
    return groups


def condition_cells(entries: Sequence[Intervals]) -> list[tuple[str, ...]]:
    """One line of text per policy, in the order of HEADINGS.

    ``*`` marks a policy that misses the accuracy target; regret carries its 95 % interval.
    """
    policies = {entry['policy']: _means(entry) for entry in entries}
    rival = best_rival(policies)
    lines: list[tuple[str, ...]] = []
    for entry in entries:
        name, means = entry['policy'], policies[entry['policy']]
        against = 'best rival' if name == rival else ''
        if rival is not None and name != rival:
            regrets = (means['dynamic_regret'], policies[rival]['dynamic_regret'])
            against = percent(-regret_reduction(*regrets))
        lines.append((
            name if meets_target(means) else f'{name} *',
            _with_interval(entry['dynamic_regret']),
            against,
            _number(means['map'] - means['map_target'], '+.4f'),
            _number(means['energy_j_per_frame'], '.3f'),
            _number(means['processed_fps'], '.2f'),
            _number(1e3 * means['latency_p95_s'], '.0f'),
            _number(means['dropped'], '.0f'),
            _number(means['switches'], '.0f'),
            _number(1e3 * means['decision_s_median'], '.2f'),
        ))
    return lines


def overview_cells(rows: Iterable[Row]) -> list[tuple[str, ...]]:
    """One line of text per condition, in the order of OVERVIEW_HEADINGS.

    Regrets of ``visionscaling_meta`` and ``visionscaling`` against that of the best rival; what
    follows is of ``visionscaling_meta``, its energy and rate against the best static point.
    """
    lines = []
    for condition, policies in means_by_condition(rows).items():
        rival = best_rival(policies)
        regrets = [
            percent(
                -regret_reduction(
                    policies[name]['dynamic_regret'], policies[rival]['dynamic_regret']
                )
            )
            if rival is not None and name in policies
            else '-'
            for name in (DEFAULT_POLICY, PUBLISHED_POLICY)
        ]
        own = policies.get(DEFAULT_POLICY)
        gap = math.nan if own is None else own['map'] - own['map_target']
        against = [percent(change) for change in against_best_static(policies, DEFAULT_POLICY)]
        lines.append((
            ', '.join(condition), rival or '-', *regrets, _number(gap, '+.4f'), *against
        ))
    return lines


def decision_cells(decisions: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """One line of text per policy, in the order of DECISION_HEADINGS."""
    return [
        (
            entry['policy'],
            *(
                f'{1e3 * entry[f"{times}_s_{quantile}"]:.3f}'
                for times in ('decide', 'decide_cpu', 'decide_observe')
                for quantile in ('median', 'p95', 'p99')
            ),
            f'{entry["decide_median_over_reference"]:.2f}',
        )
        for entry in decisions
    ]


def simulation_cells(measured: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """One line of text per policy, in the order of SIMULATION_HEADINGS."""
    return [(entry['policy'], f'{entry["slots_per_s"]:.0f}') for entry in measured]


def print_table(title: str, headings: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Print lines of text under headings; all but the first column are numbers."""
    table = Table(title=title, title_justify='left', box=box.SIMPLE_HEAD, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify='right' if place else 'left', no_wrap=True)
    for line in lines:
        table.add_row(*line)
    make_console().print(table)


def make_console() -> Console:
    """A terminal as wide as it is; anything else is wide enough for the widest table."""
    return Console() if sys.stdout.isatty() else Console(width=FILE_COLUMNS)


def print_report(document: Mapping[str, Any]) -> None:
    """Print a table for every condition, then which claims hold."""
    console = make_console()
    for (trace, scenario), entries in by_condition(document['summary']).items():
        print_table(f'{trace}, {scenario}', HEADINGS, condition_cells(entries))
    console.print('* misses the accuracy target. Means over seeds; regret ± 95 % interval.')
    print_table('Overview', OVERVIEW_HEADINGS, overview_cells(document['rows']))
    print_claims(console, claims(document['rows']))
    for failure in document['meta']['failures']:
        console.print(f'failed: {failure["name"]}: {failure["error"]}', markup=False)


def print_claims(console: Console, found: Sequence[Claim]) -> None:
    """Print how many of the claims hold, and every one that does not."""
    for claim in found:
        if not claim.met:
            where = f'{claim.trace}, {claim.scenario}'
            console.print(
                f'missed: {where}: {claim.policy}: {claim.claim} ({claim.figure})', markup=False
            )
    if found:
        console.print(f'{sum(claim.met for claim in found)} of {len(found)} claims hold')


def percent(share: float) -> str:
    """A change as text; what is beyond measure is cut."""
    if math.isnan(share):
        return '-'
    value = 100.0 * share
    if abs(value) > MOST_PERCENT:
        return f'{"<" if value < 0.0 else ">"} {math.copysign(MOST_PERCENT, value):+.0f} %'
    return f'{value:+.0f} %'


def _means(entry: Intervals) -> dict[str, float]:
    return {
        name: math.nan if value['mean'] is None else float(value['mean'])
        for name, value in entry.items()
        if isinstance(value, Mapping)
    }


def _with_interval(interval: Mapping[str, float | None]) -> str:
    mean, half = interval['mean'], interval['ci95']
    text = _number(math.nan if mean is None else mean, '.1f')
    return text if half is None or math.isnan(half) else f'{text} ± {half:.1f}'


def _number(value: float, form: str) -> str:
    return '-' if math.isnan(value) else format(value, form)
