"""``visionscaling clock-kills``: node and helper killed over and over; is the clock always back?"""

from __future__ import annotations

import argparse
import signal
import tempfile
from functools import partial
from pathlib import Path

HELP = 'kill gpu_clock_node and its helper at random moments; fails if a clock is not restored'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add('--count', type=int, default=200, metavar='N', help='kills (%(default)s)')
    add('--seed', type=int, default=0, help='of their order and moments (%(default)s)')
    add(
        '--way',
        choices=('direct', 'helper', 'both'),
        default='both',
        help='the node writes itself, or through the helper as another user, which takes root '
        '(%(default)s)',
    )
    add('--json', type=Path, metavar='FILE', help='write every round and the summary there')
    add('--log', type=Path, metavar='DIR', help='empty folder for tree, states and output (a '
        'temporary one)')  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Run the campaign on a file tree; 0 if every kill was undone, else 1."""
    from visionscaling_ros.graph.stop_signals import stop_signals_handled  # noqa: PLC0415
    from visionscaling_ros.nodes.clock_driver import DecisionDriver  # noqa: PLC0415
    from visionscaling_ros.trials.clock_kills.plan import (  # noqa: PLC0415
        DIRECT,
        THROUGH_HELPER,
        plan,
    )
    from visionscaling_ros.trials.clock_kills.session import run_session  # noqa: PLC0415
    from visionscaling_ros.trials.clock_kills.unprivileged import why_not  # noqa: PLC0415

    ways = {'direct': (DIRECT,), 'helper': (THROUGH_HELPER,), 'both': (DIRECT, THROUGH_HELPER)}
    chosen = ways[arguments.way]
    if THROUGH_HELPER in chosen and why_not():
        print(f'not through the helper: {why_not()}', flush=True)
        chosen = tuple(way for way in chosen if way != THROUGH_HELPER)
        if not chosen:
            return 1
    rounds = plan(arguments.count, arguments.seed, chosen)
    folder = arguments.log or Path(tempfile.mkdtemp(prefix='visionscaling-kills-'))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # for a node of another user
    driver = partial(DecisionDriver, arguments.seed)
    with stop_signals_handled(signal.default_int_handler):
        return 0 if run_session(driver, rounds, folder, arguments.json) else 1
