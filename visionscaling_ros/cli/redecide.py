"""``visionscaling redecide``: the decisions of a recorded run, made again offline."""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

from visionscaling_ros.cli.settings_options import AskedSettings, add_settings_options
from visionscaling_ros.control.policy import POLICY_NAMES
from visionscaling_ros.errors import InvalidValueError

HELP = 'decide every slot of a recorded run again, by the same or another policy'
SHOWN = 10  # decisions that differ
DIFFERENT = 1  # exit status where they should have been the same


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('bag', metavar='BAG', help='folder or file of a bag')
    parser.add_argument(
        '--policy', default='',
        help=f'(that of --params or --set, else those recorded) {", ".join(POLICY_NAMES)}',
    )  # fmt: skip
    parser.add_argument('--namespace', metavar='NS', help="one robot's, such as /drone1 (all)")
    parser.add_argument('--json', default='', metavar='FILE', help='where to write all decisions')
    add_settings_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what is the same; exit status 1 if not all is that should be."""
    from rich.progress import Progress  # noqa: PLC0415

    from visionscaling_ros.json_file import write_json  # noqa: PLC0415
    from visionscaling_ros.review.recorded_run import read_runs  # noqa: PLC0415
    from visionscaling_ros.review.redecide import redecide  # noqa: PLC0415

    if arguments.policy and arguments.policy not in POLICY_NAMES:
        raise InvalidValueError('policy', arguments.policy, ', '.join(POLICY_NAMES))
    asked = AskedSettings(arguments)
    began_s = time.perf_counter()
    runs = read_runs(arguments.bag, arguments.namespace)
    read_s = time.perf_counter() - began_s
    changes = asked.of_robots(run.namespace for run in runs)
    redecisions = []
    for recorded in runs:
        change = changes[recorded.namespace]
        began_s = time.perf_counter()
        with Progress(transient=True) as bar:
            task = bar.add_task(recorded.namespace, total=len(recorded.slots))
            redecision = redecide(
                recorded,
                arguments.policy or change.policy,
                change,
                progress=partial(_show, bar, task),
            )
        redecisions.append(redecision)
        _print(redecision, read_s, time.perf_counter() - began_s)
    if arguments.json:
        documents = [_document(redecision) for redecision in redecisions]
        write_json(Path(arguments.json), {'bag': arguments.bag, 'runs': documents})
        print(arguments.json)
    failed = any(r.exact and r.same < len(r.compared) for r in redecisions)
    return DIFFERENT if failed else 0


def _show(bar: Any, task: Any, slots: int) -> None:
    bar.update(task, completed=slots)


def _print(redecision: Any, read_s: float, decide_s: float) -> None:
    run, compared = redecision.run, redecision.compared
    print(
        f'{run.namespace}: {len(run.slots)} slots read in {read_s:.2f} s, '
        f'decided in {decide_s:.2f} s by {redecision.policy or "the policies recorded"}'
    )
    print(f'{redecision.same} of {len(compared)} decisions are the recorded ones, bit for bit')
    for reason in redecision.reasons:
        print(f'not all of them need be: {reason}')
    for slot in [slot for slot in compared if slot.differing][:SHOWN]:
        print(f'slot {slot.slot}: {", ".join(slot.differing)}')
        print(f'  recorded  {_words(slot.recorded)}\n  now       {_words(slot.decided)}')
    hidden = len(compared) - redecision.same - SHOWN
    if hidden > 0:
        print(f'and {hidden} more')


def _words(decision: Any) -> str:
    from visionscaling_ros.demo.slot_table import describe_allocations  # noqa: PLC0415

    return (
        f'{describe_allocations(decision.allocations) or "nothing"}; '
        f'{decision.gpu_frequency_hz / 1e6:.0f} MHz; {decision.tx_rate_bps / 1e6:.2f} Mbit/s; '
        f'expected cost {decision.expected_cost:.4f}'
    )


def _document(redecision: Any) -> dict[str, Any]:
    from visionscaling_ros.review.redecide import as_recorded, decision_document  # noqa: PLC0415

    return {
        'namespace': redecision.run.namespace,
        'policy': redecision.policy,
        'exact': redecision.exact,
        'reasons': list(redecision.reasons),
        'slots': len(redecision.run.slots),
        'compared': len(redecision.compared),
        'same': redecision.same,
        'decisions': [
            {
                'slot': slot.slot,
                'differing': list(slot.differing),
                'recorded': decision_document(slot.recorded),
                'decided': decision_document(as_recorded(slot.decided)),
            }
            for slot in redecision.slots
        ],
    }
