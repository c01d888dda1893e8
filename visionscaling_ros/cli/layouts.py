"""``visionscaling layouts``: layouts of Foxglove, PlotJuggler and rqt for one robot."""

from __future__ import annotations

import argparse
from pathlib import Path

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.installed import share_directory
from visionscaling_ros.watch.layouts import LAYOUTS, in_namespace
from visionscaling_ros.watch.namespace import robot_namespace
from visionscaling_ros.whole_file import whole_file

HELP = 'write layouts for Foxglove, PlotJuggler and rqt'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--namespace', default='/', metavar='NS', help='of the robot (%(default)s)')
    parser.add_argument('--out', default='.', metavar='DIR', help='folder to write into (here)')


def run(arguments: argparse.Namespace) -> int:
    """Write the layouts and print where; a file that is there is replaced."""
    namespace = robot_namespace(arguments.namespace)
    for layout in LAYOUTS:
        source = share_directory() / 'config' / layout
        path = Path(arguments.out) / source.name
        try:
            text = in_namespace(source.read_text(encoding='utf-8'), namespace)
            with whole_file(path) as partial:
                partial.write_text(text, encoding='utf-8')
        except OSError as error:
            allowed = f'a folder to write ({error})'
            raise InvalidValueError('--out', arguments.out, allowed) from error
        print(f'{layout.parent}: {path}')
    return 0
