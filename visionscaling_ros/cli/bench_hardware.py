"""``visionscaling bench-hardware``: what measuring power costs, and how fast a clock is set."""

from __future__ import annotations

import argparse
from pathlib import Path

from visionscaling_ros.cli import bench_clock_sets, bench_meters
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.json_file import write_json

HELP = 'CPU time of power meters, and time until a clock is set and read back'
# each with add_arguments(parser), measure(arguments) and print_rows(rows)
PARTS = {'meter': bench_meters, 'set': bench_clock_sets}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--part', choices=['all', *PARTS], default='all', help='(all)')
    parser.add_argument('--json', default='out/bench_hardware.json', metavar='FILE')
    for part in PARTS.values():
        part.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, write, print; 1 where something takes more than it may."""
    if Path(arguments.json).is_dir():
        raise InvalidValueError('json', arguments.json, 'a file to write')
    parts = list(PARTS) if arguments.part == 'all' else [arguments.part]
    results = {part: PARTS[part].measure(arguments) for part in parts}
    write_json(Path(arguments.json), results)
    kept = [PARTS[part].print_rows(results[part]) for part in parts]
    print(arguments.json)
    return 0 if all(kept) else 1
