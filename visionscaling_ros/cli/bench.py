"""``visionscaling bench``: every policy on every trace and in every scenario."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from visionscaling_ros.cli.exit_status import INTERRUPTED
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.json_file import write_json

if TYPE_CHECKING:
    from visionscaling_ros.simulation.suite import Job
    from visionscaling_ros.simulation.suite_result import SuiteResult

HELP = 'simulate policies on uplink traces and in scenarios; regret, energy, rate, accuracy'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--traces', default='', metavar='DIR', help='uplinks: a folder of traces, or one trace'
    )
    parser.add_argument(
        '--device', default='agx_orin', metavar='NAME|FILE', help='profile, or a YAML file'
    )
    parser.add_argument('--policies', default='all', metavar='A,B', help='all, or names')
    parser.add_argument(
        '--no-comparators', action='store_true', help='neither oracle nor best_static unless named'
    )
    parser.add_argument(
        '--scenarios', default='all', metavar='A,B',
        help='all, or names; nominal: the traces as they are, others: synthetic uplinks',
    )  # fmt: skip
    parser.add_argument(
        '--cross', action='store_true', help='also the traces under the other scenarios'
    )
    parser.add_argument('--seeds', type=int, default=3, metavar='N', help='runs of each (3)')
    parser.add_argument('--first-seed', type=int, default=0, metavar='S', help='(0)')
    parser.add_argument('--slots', type=int, default=2000, metavar='T', help='slots a run (2000)')
    parser.add_argument('--target', type=float, metavar='MAP', help="mAP (the profile's)")
    parser.add_argument('--jobs', type=int, metavar='N', help='processes (one per core)')
    parser.add_argument('--json', default='out/bench.json', metavar='FILE', help='results')
    parser.add_argument(
        '--plot', default='', metavar='FILE|DIR', help='one .png, or a folder for one per figure'
    )


def run(arguments: argparse.Namespace) -> int:
    """Plan, run, write, print; 1 if a run failed, 130 after Ctrl-C (what is done is written)."""
    from visionscaling_ros.simulation.document import (  # noqa: PLC0415
        make_document,
    )
    from visionscaling_ros.simulation.report import print_report  # noqa: PLC0415
    from visionscaling_ros.simulation.suite import job_setup  # noqa: PLC0415

    jobs, processes = _plan(arguments)
    json_path = _writable(arguments.json)
    began_s = time.monotonic()
    suite = _run_with_progress(jobs, processes)
    document = make_document(
        suite,
        device=arguments.device,
        slots=arguments.slots,
        settings=job_setup(jobs[0])[1],
        elapsed_s=time.monotonic() - began_s,
    )
    write_json(json_path, document)
    print_report(document)
    print(json_path)
    if arguments.plot and suite.rows:
        from visionscaling_ros.simulation.plots import plot_document  # noqa: PLC0415  (a second)

        print(*plot_document(Path(arguments.plot), document), sep='\n')
    if suite.interrupted:
        print(f'interrupted: {len(suite.rows)} runs were done', file=sys.stderr)
        return INTERRUPTED
    return 1 if suite.failures else 0


def _plan(arguments: argparse.Namespace) -> tuple[list[Job], int]:
    """Jobs and number of processes; raises InvalidValueError."""
    from visionscaling_ros.simulation import plan  # noqa: PLC0415
    from visionscaling_ros.simulation.suite import job_setup  # noqa: PLC0415

    for name, least in (('seeds', 1), ('first_seed', 0), ('slots', 2), ('jobs', 1)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise InvalidValueError(name, value, f'a whole number, {least} or more')
    jobs = plan.plan_jobs(
        traces=plan.find_traces(arguments.traces),
        scenarios=plan.choose_scenarios(arguments.scenarios),
        cross=arguments.cross,
        seeds=range(arguments.first_seed, arguments.first_seed + arguments.seeds),
        slots=arguments.slots,
        device=arguments.device,
        target_map=arguments.target,
        policies=plan.choose_policies(
            arguments.policies, comparators=not arguments.no_comparators
        ),
    )
    job_setup(jobs[0])  # a device or a target that is not allowed is told now
    return jobs, arguments.jobs or len(os.sched_getaffinity(0))


def _writable(text: str) -> Path:
    """A file that can be written, known before the work is done; raises InvalidValueError."""
    path = Path(text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidValueError('json', text, f'a file to write ({error})') from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise InvalidValueError('json', text, 'a file to write')
    return path


def _run_with_progress(jobs: list[Job], processes: int) -> SuiteResult:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from visionscaling_ros.simulation.suite import run_suite  # noqa: PLC0415

    total = sum(job.total_slots for job in jobs)
    columns = (
        TextColumn('{task.description}'), BarColumn(), TextColumn('{task.percentage:.0f} %'),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(f'{len(jobs)} worlds', total=total)
        return run_suite(jobs, processes, lambda slots: bar.advance(task, slots))
