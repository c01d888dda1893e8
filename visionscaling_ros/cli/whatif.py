"""``visionscaling whatif``: what other policies would have made of a recorded run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from visionscaling_ros.cli.exit_status import INTERRUPTED
from visionscaling_ros.cli.plot_option import add_plot_option, check_plot
from visionscaling_ros.cli.settings_options import AskedSettings, add_settings_options
from visionscaling_ros.control.policy import POLICY_NAMES
from visionscaling_ros.errors import InvalidValueError, VisionScalingError
from visionscaling_ros.fields import near

if TYPE_CHECKING:
    from visionscaling_ros.review.settings_change import SettingsChange
    from visionscaling_ros.review.whatif.run_slots import RunSlots
    from visionscaling_ros.review.whatif.what_if import WhatIf

HELP = 'estimate what other policies would have done in a recorded run'
ALL = 'all'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('bag', metavar='BAG', help='folder or file of a bag')
    parser.add_argument(
        '--policies', default=ALL, metavar='A,B,…', help=f'some of {", ".join(POLICY_NAMES)} (all)'
    )
    parser.add_argument('--namespace', metavar='NS', help='only this robot (every one in the bag)')
    add_settings_options(parser)
    parser.add_argument('--seed', type=int, default=0, metavar='S', help='of the model (0)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write everything')
    add_plot_option(parser, 'write a picture')


def run(arguments: argparse.Namespace) -> int:
    """Print the tables; after Ctrl-C those of the runs done until then."""
    policies = _policies(arguments.policies)
    check_plot(arguments)
    if arguments.seed < 0:
        raise InvalidValueError('seed', arguments.seed, '0 or more')
    from visionscaling_ros.review.recorded_run import read_runs  # noqa: PLC0415
    from visionscaling_ros.review.whatif.run_slots import run_slots  # noqa: PLC0415
    from visionscaling_ros.review.whatif.tables import print_what_if  # noqa: PLC0415
    from visionscaling_ros.simulation.report import make_console  # noqa: PLC0415

    asked = AskedSettings(arguments)
    runs = read_runs(arguments.bag, arguments.namespace)
    changes = asked.of_robots(run.namespace for run in runs)
    console, answers, failed, interrupted = make_console(), [], 0, False
    for number, recorded in enumerate(runs, 1):
        of = f', run {number} of {len(runs)}' if len(runs) > 1 else ''
        try:
            slots = run_slots(recorded)
            answer = _answer(slots, policies, changes[recorded.namespace], arguments.seed)
        except KeyboardInterrupt:
            interrupted = True
            break
        except VisionScalingError as error:
            failed += 1
            print(f'{recorded.namespace}{of}: {error}', file=sys.stderr)
            continue
        answers.append(answer)
        title = f'{arguments.bag}: {answer.namespace}{of}, {len(slots)} slots of {answer.policy}'
        print_what_if(console, answer, title=title)
    _write(answers, arguments)
    if interrupted:
        print(f'interrupted: {len(answers)} of {len(runs)} runs are done', file=sys.stderr)
        return INTERRUPTED
    return 2 if failed and not answers else 0


def _answer(
    slots: RunSlots, policies: tuple[str, ...], change: SettingsChange, seed: int
) -> WhatIf:
    from rich.progress import Progress  # noqa: PLC0415

    from visionscaling_ros.review.whatif.what_if import plays_needed, what_if  # noqa: PLC0415

    always = [name for name in (slots.policy, change.policy) if name in POLICY_NAMES]
    chosen = tuple(dict.fromkeys([*always, *policies]))
    with Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(slots.run.namespace, total=plays_needed(slots, chosen))
        return what_if(
            slots, chosen, change(slots.settings), seed=seed,
            on_played=lambda: progress.advance(task),
        )  # fmt: skip


def _policies(text: str) -> tuple[str, ...]:
    if text == ALL:
        return POLICY_NAMES
    chosen = tuple(dict.fromkeys(part.strip() for part in text.split(',') if part.strip()))
    for part in chosen or (text,):
        if part not in POLICY_NAMES:
            allowed = f'{ALL}, or some of {", ".join(POLICY_NAMES)}{near(part, POLICY_NAMES)}'
            raise InvalidValueError('policies', part, allowed)
    return chosen


def _write(answers: list[WhatIf], arguments: argparse.Namespace) -> None:
    if answers and arguments.json is not None:
        from visionscaling_ros.json_file import write_json  # noqa: PLC0415
        from visionscaling_ros.review.whatif.document import what_if_document  # noqa: PLC0415

        write_json(arguments.json, what_if_document(arguments.bag, answers, arguments.seed))
        print(arguments.json)
    if answers and arguments.plot is not None:
        from visionscaling_ros.review.whatif.plots import plot_what_if  # noqa: PLC0415 (a second)

        plot_what_if(arguments.plot, answers)
        print(arguments.plot)
