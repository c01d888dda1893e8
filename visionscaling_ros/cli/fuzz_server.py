"""``visionscaling fuzz-server``: attacks an edge server and looks whether honest robots notice."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from visionscaling_ros.edge.address import parse_address
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.json_file import write_json
from visionscaling_ros.trials.fuzz import fuzz
from visionscaling_ros.trials.fuzz_report import FuzzReport, FuzzSettings
from visionscaling_ros.vision.catalog import built_in_catalog

HELP = 'attack an edge server of your own for a while, with honest robots beside'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    defaults = FuzzSettings(0.0)
    parser.add_argument('--minutes', type=float, default=10.0, help='(%(default)s)')
    parser.add_argument(
        '--address', default='', metavar='HOST:PORT', help='one that runs already (starts one)'
    )
    parser.add_argument('--token-file', type=Path, metavar='FILE', help='token of a robot it knows')
    parser.add_argument('--model', default=defaults.model, help='(%(default)s)')
    parser.add_argument(
        '--input-size-px', type=int, default=defaults.input_size_px, help='(%(default)s)'
    )
    parser.add_argument('--seed', type=int, default=0, help='of the attacks (%(default)s)')
    parser.add_argument(
        '--memory-growth-mib',
        type=float,
        default=defaults.memory_growth_mib,
        metavar='MIB',
        help='most by which its memory may grow (%(default)s)',
    )
    parser.add_argument(
        '--served-share',
        type=float,
        default=defaults.served_share,
        help="least part of the honest robots' frames to be served (%(default)s)",
    )
    parser.add_argument(
        '--json', default='out/fuzz_server.json', metavar='FILE', help='(%(default)s)'
    )


def run(arguments: argparse.Namespace) -> int:
    """Attack, report; 1 where something is not as demanded."""
    settings = _settings(arguments)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    console = Console()
    columns = (TextColumn('{task.description}'), BarColumn(), TimeRemainingColumn())
    total_s = settings.seconds + 2.0 * settings.calm_s
    with Progress(*columns, console=console) as progress:
        task = progress.add_task('starting', total=total_s)
        report = fuzz(
            settings, lambda done_s, text: progress.update(task, completed=done_s, description=text)
        )
    _print(report, console)
    write_json(Path(arguments.json), report.document())
    console.print(f'figures in {arguments.json}')
    return 1 if report.failures else 0


def _settings(arguments: argparse.Namespace) -> FuzzSettings:
    if not 0.0 < arguments.minutes < float('inf'):
        raise InvalidValueError('--minutes', arguments.minutes, 'a number above 0')
    entry = built_in_catalog().entry(arguments.model)
    if arguments.input_size_px not in entry.input_sizes_px:
        raise InvalidValueError('--input-size-px', arguments.input_size_px, entry.input_sizes_px)
    token = ''
    if arguments.address:
        parse_address(arguments.address, '--address')
        if arguments.token_file is not None:
            token = arguments.token_file.read_text(encoding='utf-8').strip()
    return FuzzSettings(
        seconds=arguments.minutes * 60.0,
        seed=arguments.seed,
        address=arguments.address,
        token=token,
        model=arguments.model,
        input_size_px=arguments.input_size_px,
        memory_growth_mib=arguments.memory_growth_mib,
        served_share=arguments.served_share,
    )


def _print(report: FuzzReport, console: Console) -> None:
    robots = Table('honest robot', 'frames', 'served', 'p50', 'p99', 'not served')
    for name, robot in report.robots.items():
        rest = {key: count for key, count in robot.outcomes.items() if key != 'served'}
        robots.add_row(
            name,
            str(robot.expected),
            f'{robot.served_share:.1%}',
            _milliseconds(robot.latency_p50_s),
            _milliseconds(robot.latency_p99_s),
            ', '.join(f'{key} {count}' for key, count in rest.items()),
        )
    console.print(robots)
    server = report.server
    if server.memory_mib:
        table = Table('server', 'start', 'max', 'end')
        for name, values in (
            ('memory [MiB]', server.memory_mib),
            ('threads', server.threads),
            ('open files', server.files),
        ):
            table.add_row(name, *(f'{value:.0f}' for value in server.summary(values).values()))
        console.print(table)
    attacks = Table('attack', 'times')
    for name, count in report.attacks.items():
        attacks.add_row(name.replace('_', ' '), str(count))
    console.print(attacks)
    for error, count in report.attack_errors.items():
        console.print(f'attack failed {count} times: {error}', markup=False)
    for failure in report.failures:
        console.print(f'[bold red]{failure}')
    if not report.failures:
        console.print(f'[bold green]as demanded, after {report.seconds:.0f} s')


def _milliseconds(seconds: float | None) -> str:
    return '-' if seconds is None else f'{seconds * 1000:.0f} ms'
