"""``visionscaling link``: a slow, changing, failing link on one machine."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Callable

from visionscaling_ros.edge.address import parse_address
from visionscaling_ros.edge.link.shaped_link import ShapedLink
from visionscaling_ros.edge.link.trace import load_trace
from visionscaling_ros.errors import InvalidValueError

HELP = 'TCP proxy that is as slow, far, lossy and unsteady as a radio link'
EPILOG = (
    'Delay, jitter and loss hold for both ways. A proxy cannot lose bytes: a lost packet is late '
    'by the time TCP takes to send it again, and so is all behind it. FILE is .csv '
    '(time_s,rate_bps) or a mahimahi trace, repeated without end.'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add('--listen', required=True, metavar='HOST:PORT', help='port 0: a free one')
    add('--to', required=True, metavar='HOST:PORT', help='where it leads')
    add('--trace', required=True, metavar='FILE|BIT/S', help='rate towards there')
    add('--downlink', metavar='FILE|BIT/S', help='rate of the way back (no limit)')
    for option, unit, text in (
        ('--delay', 'MS', 'delay one way, half the round trip, in milliseconds'),
        ('--jitter', 'MS', 'the delay varies by as much, up and down, in milliseconds'),
        ('--loss', 'SHARE', 'share of the packets that get lost, from 0 to below 1'),
        ('--stall-every', 'S', 'seconds from one stall to the next; 0: none'),
        ('--stall', 'MS', 'how long nothing passes then, in milliseconds'),
        ('--reset-every', 'S', 'seconds from one reset of all connections to the next; 0: none'),
    ):
        add(option, type=float, default=0.0, metavar=unit, help=f'{text} (%(default)g)')
    add('--seed', type=int, default=0, help='of jitter and loss (%(default)s)')


def run(arguments: argparse.Namespace) -> int:
    """Forward until told to stop."""
    _check(arguments)
    link = ShapedLink(
        parse_address(arguments.listen, '--listen'),
        parse_address(arguments.to, '--to'),
        load_trace(arguments.trace),
        downlink=load_trace(arguments.downlink) if arguments.downlink else None,
        delay_s=arguments.delay * 1e-3,
        jitter_s=arguments.jitter * 1e-3,
        loss=arguments.loss,
        seed=arguments.seed,
    )
    asyncio.run(_serve(link, arguments))
    return 0


def _check(arguments: argparse.Namespace) -> None:
    for name in ('delay', 'jitter', 'stall_every', 'stall', 'reset_every'):
        value = getattr(arguments, name)
        if not 0.0 <= value < float('inf'):
            raise InvalidValueError(f'--{name.replace("_", "-")}', value, 'a finite number >= 0')
    if not 0.0 <= arguments.loss < 1.0:
        raise InvalidValueError('--loss', arguments.loss, 'at least 0 and below 1')


async def _serve(link: ShapedLink, arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    routines = []
    try:
        await link.start()
        if arguments.stall_every:
            stall_s = arguments.stall * 1e-3
            routines.append(_repeat(arguments.stall_every, lambda: link.stall(stall_s)))
        if arguments.reset_every:
            routines.append(_repeat(arguments.reset_every, link.reset))
        print(f'shaping the way to {arguments.to} ready on {link.address}', flush=True)
        await stop.wait()
    finally:
        for routine in routines:
            routine.cancel()
        await link.stop()


def _repeat(period_s: float, action: Callable[[], None]) -> asyncio.Task[None]:
    async def repeat() -> None:
        while True:
            await asyncio.sleep(period_s)
            action()

    return asyncio.get_running_loop().create_task(repeat())
