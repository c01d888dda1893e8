"""``docs/results.md`` from the results of ``make bench``.

``python -m visionscaling_ros.simulation.results_page RESULTS DOCS`` reads ``standard.json``,
``long.json`` and ``decision.json`` in the folder RESULTS and writes ``results.md`` and its images
in the folder DOCS.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.simulation.document import SECTIONS, read_json
from visionscaling_ros.simulation.plots import plot_document
from visionscaling_ros.simulation.report import (
    DECISION_HEADINGS,
    HEADINGS,
    OVERVIEW_HEADINGS,
    SIMULATION_HEADINGS,
    by_condition,
    condition_cells,
    decision_cells,
    overview_cells,
    simulation_cells,
)
from visionscaling_ros.simulation.verdict import (
    DEFAULT_POLICY,
    PUBLISHED_POLICY,
    Claim,
    claims,
    growth_claims,
    speed_claims,
)

Document = Mapping[str, Any]
SPEED_SECTIONS = ('meta', 'decisions', 'simulation')
MARKS = {True: 'holds', False: '**missed**'}
CLAIM_HEADINGS = ('condition', 'policy', 'claim', 'figure', '')

INTRODUCTION = """\
# Results of the simulator

Written by `make bench` (`TRACES=folder` names the uplink traces); do not edit. Everything here is
simulated: devices and their sources are in `visionscaling_ros/simulation/profiles/`, scenarios in
`visionscaling_ros/simulation/scenarios.py`. `autoscale`, `dms`, `cutedge` and `visionscaling` are
our implementations after their publications, not their authors' code.

Regret is dynamic: cost less that of the clairvoyant optimum of every slot, which keeps the accuracy
target in every slot. A policy keeps it on average only, so its regret can be negative. The best
rival is the one with the least regret among those that meet the target within 0.3 points, neither
`visionscaling*` nor the two that know the future (`oracle`, `best_static`). Figures are means over
seeds, ± half the 95 % confidence interval (Student's t).
"""
PICTURES = """\
## Pictures

![Regret over time](images/bench/regret.png)
![Energy against rate](images/bench/energy_rate.png)
![Accuracy against target](images/bench/accuracy.png)
"""


def results_page(standard: Document, long: Document, speed: Document) -> str:
    """The page as Markdown."""
    found = [
        *claims(standard['rows']), *growth_claims(long['curves']), *speed_claims(speed)
    ]  # fmt: skip
    parts = [
        INTRODUCTION,
        '## How\n\n' + _how(standard, long, speed),
        '## Overview\n\n' + _overview(standard),
        '## Claims\n\n' + _claims(found),
        '## Growth over time\n\n' + _growth(long),
        '## Speed\n\n' + _speed(speed),
        PICTURES,
        '## All figures\n\n`*` misses the accuracy target.\n\n' + _tables(standard),
    ]
    return '\n'.join(part.rstrip('\n') + '\n' for part in parts)


def main(arguments: Sequence[str]) -> int:
    """Write the page and its images."""
    results, docs = (Path(argument) for argument in arguments)
    standard = read_json(results / 'standard.json', SECTIONS)
    long = read_json(results / 'long.json', SECTIONS)
    speed = read_json(results / 'decision.json', SPEED_SECTIONS)
    for name, document in (('bench', standard), ('bench_long', long)):
        plot_document(docs / 'images' / name, document)
    (docs / 'results.md').write_text(results_page(standard, long, speed), encoding='utf-8')
    print(docs / 'results.md')
    return 0


def _how(standard: Document, long: Document, speed: Document) -> str:
    meta = standard['meta']
    commands = '\n'.join(
        f'    {_portable(document["meta"]["command"])}' for document in (standard, long, speed)
    )
    failures = [*meta['failures'], *long['meta']['failures']]
    failed = ''.join(f'\n* failed: {failure["name"]}: {failure["error"]}' for failure in failures)
    return (
        f'{commands}\n\nVersion {meta["version"]}, {meta["date"][:10]}, Python {meta["python"]}, '
        f'NumPy {meta["numpy"]}, {meta["cpu_count"]} CPU cores; device `{meta["device"]}`, '
        f'{meta["slots"]} slots of 1 s, accuracy target '
        f'{meta["settings"]["accuracy_target_map"]} mAP. It took {meta["elapsed_s"]:.0f} s and '
        f'{long["meta"]["elapsed_s"]:.0f} s.{failed}'
    )


def _portable(command: str) -> str:
    """The command without the folders of the computer it ran on."""
    parts = shlex.split(command)
    return shlex.join(
        Path(part).name if part.startswith(('/', '..')) else part for part in parts
    )


def _claims(found: Sequence[Claim]) -> str:
    held = sum(claim.met for claim in found)
    lines = [
        (f'{c.trace}, {c.scenario}', f'`{c.policy}`', c.claim, c.figure, MARKS[c.met])
        for c in sorted(found, key=lambda claim: claim.met)
    ]
    return f'{held} of {len(found)} hold; those that do not come first.\n\n' + _table(
        CLAIM_HEADINGS, lines, numbers=False
    )


def _overview(standard: Document) -> str:
    return (
        f'Regret of `{DEFAULT_POLICY}` and of `{PUBLISHED_POLICY}` against that of the best '
        f'rival; then, of `{DEFAULT_POLICY}`, accuracy against the target, and energy per '
        'processed frame and processed frames/s against the single operating point that is best in '
        'hindsight (the paper, on its testbed: -30.8 % and +39.7 %).\n\n'
        + _table(OVERVIEW_HEADINGS, overview_cells(standard['rows']))
    )


def _growth(long: Document) -> str:
    lines = [
        (
            f'{entry["trace"]}, {entry["scenario"]}',
            f'`{entry["policy"]}`',
            f'{entry["regret_exponent"]["mean"]:.2f}',
            f'{entry["fit_exponent"]["mean"]:.2f}',
        )
        for entry in long['summary']
        if entry['policy'] != 'oracle'
    ]
    return (
        f'Exponents fitted to cumulative regret and fit over {long["meta"]["slots"]} slots '
        '(last two decades; 1 is linear, 0 does not grow or is never above 0).\n\n'
        + _table(('condition', 'policy', 'regret', 'fit'), lines)
        + '\n![Regret over time](images/bench_long/regret.png)\n'
    )


def _speed(speed: Document) -> str:
    reference_ms = 1e3 * speed['decisions'][0]['reference_s']
    return (
        'Decisions for 10 models x 5 sizes x 13 clocks, local and edge, one thread [ms]; on CPU: '
        'processor time, which other programs do not lengthen. The '
        f'reference is the sort of 10,000 numbers by NumPy ({reference_ms:.3f} ms).\n\n'
        + _table(DECISION_HEADINGS, decision_cells(speed['decisions']))
        + '\n'
        + _table(SIMULATION_HEADINGS, simulation_cells(speed['simulation']))
    )


def _tables(standard: Document) -> str:
    return '\n'.join(
        f'### {trace}, {scenario}\n\n' + _table(HEADINGS, condition_cells(entries))
        for (trace, scenario), entries in by_condition(standard['summary']).items()
    )


def _table(
    headings: Sequence[str], lines: Iterable[Sequence[str]], *, numbers: bool = True
) -> str:
    rule = ['---', *('--:' if numbers else '---' for _ in headings[1:])]
    return ''.join(f'| {" | ".join(cells)} |\n' for cells in (headings, rule, *lines))


if __name__ == '__main__':
    try:
        sys.exit(main(sys.argv[1:]))
    except VisionScalingError as error:
        sys.exit(f'results page: {error}')
