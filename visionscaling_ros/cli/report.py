"""``visionscaling report``."""

from __future__ import annotations

import argparse
import time
import webbrowser
from pathlib import Path

from visionscaling_ros.errors import VisionScalingError

HELP = 'write a recorded run as one page of HTML'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('source', metavar='BAG|RUN', help='bag, or folder of a run with bags in it')
    parser.add_argument(
        '--out', type=Path, default=Path('report.html'), metavar='FILE', help='file to write'
    )
    parser.add_argument('--namespace', metavar='NS', help="only this robot's runs, such as /drone1")
    parser.add_argument('--open', action='store_true', help='show it in the browser')


def run(arguments: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    from rich.console import Console  # noqa: PLC0415

    try:
        from visionscaling_ros.review.report.page import write_report  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition('.')[0] not in {'bokeh', 'jinja2'}:
            raise
        raise VisionScalingError(
            f'the report needs {error.name}, which is not installed: '
            'pip install "visionscaling_ros[review]" or "bokeh>=3.7,<4"; no page was written'
        ) from error
    console = Console(stderr=True)
    began_s = time.monotonic()
    with console.status('reading') as status:
        runs = write_report(
            arguments.source, arguments.out, namespace=arguments.namespace, on_step=status.update
        )
    size_mb = arguments.out.stat().st_size * 1e-6
    what = '1 run' if runs == 1 else f'{runs} runs'
    took_s = time.monotonic() - began_s
    print(f'{arguments.out}: {what}, {size_mb:.2f} MB, written in {took_s:.1f} s')
    if arguments.open:
        webbrowser.open(arguments.out.resolve().as_uri())
    return 0
