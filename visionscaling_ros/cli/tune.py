"""``visionscaling tune``: settings that reach what is asked, searched on recorded runs."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from visionscaling_ros.cli.exit_status import INTERRUPTED
from visionscaling_ros.cli.plot_option import add_plot_option, check_plot
from visionscaling_ros.control.policy import POLICY_NAMES
from visionscaling_ros.errors import InvalidValueError, VisionScalingError

if TYPE_CHECKING:
    from visionscaling_ros.review.tune.goal import Goal
    from visionscaling_ros.review.tune.result import TuneResult
    from visionscaling_ros.review.tune.search import Search
    from visionscaling_ros.review.tune.tuned_run import TunedRun

HELP = 'search targets and weights on recorded runs'
NOT_REACHED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('bags', nargs='+', metavar='BAG', help='folder or file of a bag')
    parser.add_argument('--namespace', metavar='NS', help='only this robot (every one)')
    goal = parser.add_argument_group('what to reach')
    goal.add_argument('--target-map', type=float, required=True, metavar='MAP', help='at least')
    goal.add_argument('--max-power', type=float, metavar='W', help='mean power, at most')
    goal.add_argument(
        '--max-latency', type=float, metavar='S', help='95 of 100 frames take at most this'
    )
    goal.add_argument('--min-fps', type=float, metavar='FPS', help='processed frames/s, at least')
    goal.add_argument(
        '--objective', default='', choices=('frames', 'power', 'energy'),
        help='what is to be best: most frames/s (with --max-power), least power (with --min-fps) '
        'or least energy a frame (else)',
    )  # fmt: skip
    goal.add_argument(
        '--margin', type=float, default=1.0, metavar='X',
        help="keep this many times the model's error from every bound (1)",
    )  # fmt: skip
    search = parser.add_argument_group('how to search')
    search.add_argument('--policy', default='', choices=POLICY_NAMES, help='(the recorded one)')
    search.add_argument('--trials', type=int, default=150, metavar='N', help='(150)')
    search.add_argument('--seed', type=int, default=0, metavar='S', help='(0)')
    parser.add_argument('--out', type=Path, default=Path('tuned.yaml'), metavar='FILE',
                        help='parameter file (tuned.yaml)')  # fmt: skip
    parser.add_argument('--json', type=Path, metavar='FILE', help='write everything')
    add_plot_option(parser, 'write a picture of the trials')


def run(arguments: argparse.Namespace) -> int:
    """Search, print, write; after Ctrl-C with the best found until then.

    The status is 1 where nothing tried reaches the bounds.
    """
    goal = _goal(arguments)
    from visionscaling_ros.review.tune.result import (  # noqa: PLC0415
        comments_of,
        result_of,
        tune_document,
    )
    from visionscaling_ros.review.tune.search import Search  # noqa: PLC0415
    from visionscaling_ros.review.tune.tables import print_result  # noqa: PLC0415
    from visionscaling_ros.simulation.report import make_console  # noqa: PLC0415

    runs = _runs(arguments)
    policy = arguments.policy or runs[0].slots.policy
    search = Search(runs, policy, goal)
    interrupted = _search(search, arguments)
    if not search.tried:
        print('interrupted before the first trial ended: nothing is known', file=sys.stderr)
        return INTERRUPTED
    result = result_of(search, interrupted=interrupted)
    print_result(make_console(), result)
    _write(result, comments_of(result, arguments.bags, arguments.seed), arguments)
    if arguments.json is not None:
        from visionscaling_ros.json_file import write_json  # noqa: PLC0415

        write_json(arguments.json, tune_document(result, arguments.bags, arguments.seed))
        print(arguments.json)
    if interrupted:
        done = f'{len(search.tried)} of {arguments.trials} trials'
        print(f'interrupted after {done}: this is the best so far', file=sys.stderr)
        return INTERRUPTED
    return 0 if result.reached else NOT_REACHED


def _goal(arguments: argparse.Namespace) -> Goal:
    """What is asked; raises InvalidValueError for what makes no sense."""
    from visionscaling_ros.review.tune.goal import Goal  # noqa: PLC0415

    if not 1 <= arguments.trials <= 100_000:
        raise InvalidValueError('trials', arguments.trials, '1 to 100000')
    if not 0.0 <= arguments.margin < math.inf:
        raise InvalidValueError('margin', arguments.margin, '0 or more')
    if arguments.seed < 0:
        raise InvalidValueError('seed', arguments.seed, '0 or more')
    check_plot(arguments)
    if arguments.out.is_dir():
        raise InvalidValueError('out', str(arguments.out), 'a file to write')
    return Goal(
        target_map=arguments.target_map,
        max_power_w=arguments.max_power,
        max_latency_s=arguments.max_latency,
        min_fps=arguments.min_fps,
        objective=arguments.objective,
    )


def _runs(arguments: argparse.Namespace) -> tuple[TunedRun, ...]:
    """The runs that can be searched on; those that cannot are told."""
    from visionscaling_ros.review.recorded_run import read_runs  # noqa: PLC0415
    from visionscaling_ros.review.tune.tuned_run import tuned_run  # noqa: PLC0415
    from visionscaling_ros.review.whatif.run_slots import run_slots  # noqa: PLC0415

    usable = []
    for bag in arguments.bags:
        recorded = read_runs(bag, arguments.namespace)
        for number, run in enumerate(recorded, 1):
            of = f' run {number}' if len(recorded) > 1 else ''
            name = f'{Path(bag).name} {run.namespace}{of}'
            try:
                slots = run_slots(run)
                usable.append(
                    tuned_run(name, slots, margin=arguments.margin, seed=arguments.seed)
                )
            except VisionScalingError as error:
                print(f'{name} is left out: {error}', file=sys.stderr)
    if not usable:
        raise VisionScalingError('none of the runs can be searched on')
    return tuple(usable)


def _search(search: Search, arguments: argparse.Namespace) -> bool:
    """Search with a progress bar; True where Ctrl-C ended it."""
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task('trials', total=arguments.trials + len(search.searched))
        try:
            search.run(arguments.trials, arguments.seed, lambda _: progress.advance(task))
        except KeyboardInterrupt:
            return True
    return False


def _write(result: TuneResult, comments: list[str], arguments: argparse.Namespace) -> None:
    from visionscaling_ros.review.parameter_file import write_parameters  # noqa: PLC0415

    if result.changes:
        namespaces = [compared.run.slots.run.namespace for compared in result.compared]
        write_parameters(arguments.out, namespaces, result.changes, comments)
        print(arguments.out)
    else:
        print(f'{arguments.out} is not written: there is nothing to change')
    if arguments.plot is not None:
        from visionscaling_ros.review.tune.plots import plot_result  # noqa: PLC0415 (a second)

        plot_result(arguments.plot, result)
        print(arguments.plot)
