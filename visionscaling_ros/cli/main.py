"""The ``visionscaling`` command: one module here per subcommand, imported only when asked for.

A subcommand module has ``HELP``, ``add_arguments(parser)`` and ``run(arguments) -> exit status``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from visionscaling_ros.cli.exit_status import INTERRUPTED, PIPE_CLOSED
from visionscaling_ros.errors import VisionScalingError

ROS_MODULES = ('rclpy', 'visionscaling_ros.msg', 'rcl_interfaces', 'sensor_msgs')
# subcommand -> module in this package
COMMANDS = {
    'up': 'up',
    'demo': 'demo',
    'top': 'top',
    'layouts': 'layouts',
    'record': 'record',
    'replay': 'replay',
    'redecide': 'redecide',
    'whatif': 'whatif',
    'tune': 'tune',
    'report': 'report',
    'edge-server': 'edge_server',
    'link': 'link',
    'train': 'train',
    'evaluate': 'evaluate',
    'profile': 'profile',
    'scale-width': 'scale_width',
    'export': 'export',
    'export-repository': 'export_repository',
    'download': 'download',
    'sim': 'sim',
    'bench': 'bench',
    'bench-decision': 'bench_decision',
    'bench-graph': 'bench_graph',
    'bench-vision': 'bench_vision',
    'bench-edge': 'bench_edge',
    'faults': 'faults',
    'fuzz-server': 'fuzz_server',
    'dds-profile': 'dds_profile',
    'hardware': 'hardware',
    'clocks': 'clocks',
    'clock-kills': 'clock_kills',
    'bench-hardware': 'bench_hardware',
    'bench-record': 'bench_record',
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the subcommand named first in ``argv``; returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog='visionscaling', description="Scales a robot's vision, slot by slot."
    )
    subparsers = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    chosen = arguments[0] if arguments and arguments[0] in COMMANDS else None
    try:
        for command, module_name in COMMANDS.items():
            if chosen is not None and command != chosen:
                continue
            module = importlib.import_module(f'visionscaling_ros.cli.{module_name}')
            subparser = subparsers.add_parser(command, help=module.HELP, description=module.HELP)
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
        namespace = parser.parse_args(arguments)
        return int(namespace.run(namespace))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # who read it, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except VisionScalingError as error:
        print(f'visionscaling: {error}', file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name not in ROS_MODULES:
            raise
        print(
            f'visionscaling: this command needs ROS 2 and the built package ({error.name} is not '
            'there): source ROS 2 and build with colcon, or use make',
            file=sys.stderr,
        )
        return 2
