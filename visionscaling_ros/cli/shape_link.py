"""``visionscaling shape-link``: a slow, changing uplink on one machine."""

from __future__ import annotations

import argparse
import asyncio
import signal

from visionscaling_ros.edge.address import parse_address
from visionscaling_ros.edge.shaped_link import ShapedLink
from visionscaling_ros.edge.trace import load_trace

HELP = 'TCP proxy whose uplink is no faster than a recorded trace or a constant rate'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--listen', required=True, metavar='HOST:PORT', help='port 0: a free one')
    parser.add_argument('--target', required=True, metavar='HOST:PORT', help='where it leads')
    parser.add_argument(
        '--trace',
        required=True,
        metavar='FILE|RATE_BPS',
        help='.csv file (time_s,rate_bps), mahimahi file or a constant rate in bit/s',
    )


def run(arguments: argparse.Namespace) -> int:
    """Forward until told to stop."""
    listen = parse_address(arguments.listen, '--listen')
    target = parse_address(arguments.target, '--target')
    link = ShapedLink(listen, target, load_trace(arguments.trace))
    asyncio.run(_serve(link, arguments.target))
    return 0


async def _serve(link: ShapedLink, target: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await link.start()
        print(f'shaping the way to {target} ready on {link.address}', flush=True)
        await stop.wait()
    finally:
        await link.stop()
