"""``visionscaling faults``: a robot with its edge server, put through faults of every kind."""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
from pathlib import Path

from visionscaling_ros.graph.dds_profile import use_dds_profile

HELP = 'put a running robot and its edge server through faults; fails if one costs too much'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add('--count', type=int, default=300, metavar='N', help='faults to inject (%(default)s)')
    add('--seed', type=int, default=0, help='of their order (%(default)s)')
    add(
        '--only',
        nargs='+',
        default=[],
        metavar='KIND',
        help='only these kinds (all; one that does not exist lists them)',
    )
    add('--json', type=Path, metavar='FILE', help='write every fault and the summary there')
    add('--log', type=Path, metavar='DIR', help="folder for the nodes' output (a temporary one)")


def run(arguments: argparse.Namespace) -> int:
    """Run the campaign; 0 if all was as it has to be, else 1."""
    os.environ['GRPC_VERBOSITY'] = 'NONE'  # read on import; every fault would be told here too
    from visionscaling_ros.nodes.fault_observer import FaultObserver  # noqa: PLC0415
    from visionscaling_ros.trials.faults.plan import plan  # noqa: PLC0415
    from visionscaling_ros.trials.faults.session import run_session  # noqa: PLC0415

    faults = plan(arguments.count, arguments.seed, arguments.only)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    folder = arguments.log or Path(tempfile.mkdtemp(prefix='visionscaling-faults-'))
    folder.mkdir(parents=True, exist_ok=True)
    use_dds_profile()
    return 0 if run_session(FaultObserver, faults, folder, arguments.json) else 1
