"""What the bridge adds to a request, against a bare stub that asks the same."""

from __future__ import annotations

import argparse
import queue
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from tritonclient.grpc import service_pb2_grpc

from visionscaling_ros.edge.bridge.bridge import EdgeBridge
from visionscaling_ros.edge.wire.offload import OffloadOutcome
from visionscaling_ros.edge.wire.protocol import EdgeReply, build_request, parse_reply
from visionscaling_ros.errors import EdgeError, InvalidValueError
from visionscaling_ros.trials.child import quick_server
from visionscaling_ros.trials.offered_frames import connected_bridge, make_frame

NAME = 'overhead'
HELP = 'time the bridge adds to a frame beyond the network and the server'

ALLOWED_P50_S = 0.002
DEADLINE_S = 5.0
# The two take turns, so that what else the machine does meets both.
BLOCK_FRAMES = 25
WARM_UP_FRAMES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--frames', type=int, default=500, metavar='N', help='(%(default)s)')
    parser.add_argument('--bytes', type=int, default=20_000, metavar='N', help='each (%(default)s)')
    parser.add_argument('--rate', type=float, default=30.0, metavar='FPS', help='(%(default)s)')


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time requests with and without the bridge, in turns; prints a table, returns the figures."""
    for name, least in (('frames', BLOCK_FRAMES), ('bytes', 1)):
        if getattr(arguments, name) < least:
            raise InvalidValueError(f'--{name}', getattr(arguments, name), f'>= {least}')
    if not 0.0 < arguments.rate < 1e3:
        raise InvalidValueError('--rate', arguments.rate, 'above 0, below 1000 frames/s')
    outcomes: queue.Queue[OffloadOutcome] = queue.Queue()
    payload = bytes(arguments.bytes)
    times_s: dict[str, list[float]] = {'bare': [], 'bridge': []}
    with (
        quick_server() as server,
        grpc.insecure_channel(server) as channel,
        connected_bridge(server, outcomes.put) as bridge,
    ):
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        ways: dict[str, Callable[[int], float]] = {
            'bare': lambda number: _ask_bare(stub, number, payload),
            'bridge': lambda number: _ask_bridge(bridge, outcomes, number, payload),
        }
        blocks = arguments.frames // BLOCK_FRAMES
        for block in track(range(blocks), 'overhead', console=Console(stderr=True), transient=True):
            for way, ask in ways.items():
                for number in range(BLOCK_FRAMES + WARM_UP_FRAMES * (block == 0)):
                    spent_s = ask(number)
                    if block or number >= WARM_UP_FRAMES:
                        times_s[way].append(spent_s)
                    time.sleep(1.0 / arguments.rate)
    figures = summary(times_s['bare'], times_s['bridge'])
    _print(figures)
    return {'allowed_p50_s': ALLOWED_P50_S, **figures}


def summary(bare_s: list[float], bridge_s: list[float]) -> dict[str, Any]:
    """Median and 95 % quantile of both [s], and of the bridge's times beyond the bare median."""
    usual_s = statistics.median(bare_s)
    added_s = [spent_s - usual_s for spent_s in bridge_s]
    return {
        name: {'p50_s': float(np.median(values)), 'p95_s': float(np.quantile(values, 0.95))}
        for name, values in (('bare', bare_s), ('bridge', bridge_s), ('added', added_s))
    }


def _ask_bare(stub: Any, number: int, payload: bytes) -> float:
    frame = make_frame(number, payload, DEADLINE_S)
    started_s = time.monotonic()
    request = build_request(frame, robot_id='trial', deadline_s=DEADLINE_S)
    reply: EdgeReply = parse_reply(stub.ModelInfer(request, timeout=DEADLINE_S), frame)
    return time.monotonic() - started_s - reply.queue_s - reply.compute_s


def _ask_bridge(
    bridge: EdgeBridge, outcomes: queue.Queue[OffloadOutcome], number: int, payload: bytes
) -> float:
    frame = make_frame(number, payload, DEADLINE_S)
    started_s = time.monotonic()
    bridge.submit(frame)
    outcome = outcomes.get(timeout=2.0 * DEADLINE_S)
    spent_s = time.monotonic() - started_s
    if not outcome.answered:
        raise EdgeError(f'the server did not answer: {outcome.reason} {outcome.message}')
    return spent_s - outcome.queue_s - outcome.compute_s


def _print(figures: dict[str, Any]) -> None:
    table = Table(title='a request, without the time the server says it took')
    for column in ('', 'p50', 'p95'):
        table.add_column(column, justify='right' if column else 'left')
    for name, label in (('bare', 'bare stub'), ('bridge', 'bridge'), ('added', 'added')):
        row = figures[name]
        table.add_row(label, f'{1e3 * row["p50_s"]:.2f} ms', f'{1e3 * row["p95_s"]:.2f} ms')
    Console(file=sys.stdout).print(table)
