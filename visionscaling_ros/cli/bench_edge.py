"""``visionscaling bench-edge``: what the way to the edge does and costs, measured in real time."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

from visionscaling_ros.cli.exit_status import INTERRUPTED
from visionscaling_ros.json_file import write_json

HELP = 'measure pacing, capacity estimate and overhead of the edge bridge, the edge server and more'

# Modules of trials with NAME, HELP, add_arguments(parser), run(arguments) -> figures and, some of
# them, plot(figures, folder) -> files. Imported when their part is asked for.
PARTS = ('pacing', 'capacity', 'overhead', 'throughput', 'fairness')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options; those of a part are listed by ``PART --help``."""
    parser.add_argument(
        'part', nargs='?', choices=(*PARTS, 'all'), default='all',
        help='what to measure (all, each with its defaults); its options follow it',
    )  # fmt: skip
    parser.add_argument('--json', default='', metavar='FILE', help='where to write the figures')
    parser.add_argument('--plot', default='', metavar='DIR', help='where to draw them')
    parser.add_argument('options', nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Measure one part after the other; 130 after Ctrl-C (what is done is written)."""
    chosen = PARTS if arguments.part == 'all' else (arguments.part,)
    modules = {part: _module(part) for part in chosen}
    options = {part: _options(modules[part], arguments.options) for part in chosen}
    figures: dict[str, Any] = {}
    status = 0
    try:
        for part in chosen:
            figures[part] = modules[part].run(options[part])
            if arguments.plot and hasattr(modules[part], 'plot'):
                print(*modules[part].plot(figures[part], Path(arguments.plot)), sep='\n')
    except KeyboardInterrupt:
        print(f'interrupted: {len(figures)} of {len(chosen)} parts were done', file=sys.stderr)
        status = INTERRUPTED
    if arguments.json:
        write_json(Path(arguments.json), figures)
        print(arguments.json)
    return status


def _module(part: str) -> Any:
    return importlib.import_module(f'visionscaling_ros.trials.{part}')


def _options(module: Any, given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f'visionscaling bench-edge {module.NAME}', description=module.HELP
    )
    module.add_arguments(parser)
    return parser.parse_args(given)
