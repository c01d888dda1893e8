"""The option for a picture, for commands that draw one."""

from __future__ import annotations

import argparse
from pathlib import Path

from visionscaling_ros.errors import InvalidValueError

PICTURES = ('.png', '.pdf', '.svg')


def add_plot_option(parser: argparse.ArgumentParser, help_text: str) -> None:
    """Declare ``--plot``."""
    parser.add_argument('--plot', type=Path, metavar='FILE', help=help_text)


def check_plot(arguments: argparse.Namespace) -> None:
    """Raise InvalidValueError for a file that no picture can be written to."""
    if arguments.plot is not None and arguments.plot.suffix not in PICTURES:
        raise InvalidValueError('plot', str(arguments.plot), f'a file {", ".join(PICTURES)}')
