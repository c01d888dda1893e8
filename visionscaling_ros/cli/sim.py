"""``visionscaling sim``: one policy in one simulated world, slot by slot."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from visionscaling_ros.cli.exit_status import INTERRUPTED
from visionscaling_ros.control.policy import DEFAULT_POLICY
from visionscaling_ros.errors import InvalidValueError

HELP = 'simulate one policy on a trace or in a scenario; its slots as CSV, its figures as a table'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--policy', default=DEFAULT_POLICY, help=f'({DEFAULT_POLICY})')
    parser.add_argument(
        '--device', default='agx_orin', metavar='NAME|FILE', help='profile, or a YAML file'
    )
    parser.add_argument('--trace', default='', metavar='FILE', help='uplink: mahimahi or CSV')
    parser.add_argument('--scenario', default='nominal', metavar='NAME', help='(nominal)')
    parser.add_argument('--slots', type=int, default=2000, metavar='T', help='of 1 s (2000)')
    parser.add_argument('--seed', type=int, default=0, metavar='S', help='(0)')
    parser.add_argument('--target', type=float, metavar='MAP', help="mAP (the profile's)")
    parser.add_argument('--csv', default='', metavar='FILE', help='where to write the slots')


def run(arguments: argparse.Namespace) -> int:
    """Simulate and print the figures; after Ctrl-C the CSV holds the slots until then."""
    from visionscaling_ros.simulation import suite  # noqa: PLC0415
    from visionscaling_ros.simulation.metrics import summarize  # noqa: PLC0415
    from visionscaling_ros.simulation.oracle import oracle_cost  # noqa: PLC0415
    from visionscaling_ros.simulation.plan import check_policy  # noqa: PLC0415
    from visionscaling_ros.simulation.report import print_table  # noqa: PLC0415
    from visionscaling_ros.simulation.runner import simulate  # noqa: PLC0415
    from visionscaling_ros.simulation.slot_log import SlotLog  # noqa: PLC0415

    check_policy(arguments.policy)
    job = suite.Job(
        trace=Path(arguments.trace).name if arguments.trace else suite.SYNTHETIC,
        trace_file=arguments.trace,
        scenario=arguments.scenario,
        seed=arguments.seed,
        slots=arguments.slots,
        device=arguments.device,
        target_map=arguments.target,
        policies=(arguments.policy,),
    )
    profile, settings = suite.job_setup(job)
    conditions = suite.job_conditions(job, profile)
    policy = suite.make_any_policy(arguments.policy, conditions, profile, settings)
    with ExitStack() as stack:
        log = None
        if arguments.csv:
            log = policy = SlotLog(policy, stack.enter_context(_open(arguments.csv)))
        began_s = time.perf_counter()
        try:
            run = simulate(policy, conditions, profile, settings)
        except KeyboardInterrupt:
            written = f': {log.slots} slots are in {arguments.csv}' if log else ''
            print(f'interrupted{written}', file=sys.stderr)
            return INTERRUPTED
        elapsed_s = time.perf_counter() - began_s
    best_cost = oracle_cost(conditions, profile, settings)
    row = summarize(run, best_cost, settings.accuracy_target_map)
    figures = [(name.replace('_', ' '), _text(value)) for name, value in asdict(row).items()]
    print_table('', ('figure', ''), [*figures, ('slots/s', f'{len(run.cost) / elapsed_s:.0f}')])
    return 0


def _open(text: str) -> TextIO:
    """A CSV file to write; raises InvalidValueError."""
    path = Path(text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open('w', encoding='utf-8', newline='')
    except OSError as error:
        raise InvalidValueError('csv', text, f'a file to write ({error})') from error


def _text(value: object) -> str:
    return f'{value:.6g}' if isinstance(value, float) else str(value)
