"""The bridge's estimate of the uplink's capacity against the trace that shapes it, in real time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.edge.bridge.capacity_window import WINDOW_S
from visionscaling_ros.edge.link.trace import LinkTrace, load_trace
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.trials.child import quick_server, shaped_link
from visionscaling_ros.trials.offered_frames import OfferedFrames, connected_bridge, sampled

NAME = 'capacity'
HELP = 'estimated against real capacity of recorded, made-up and constant uplinks'

SAMPLE_S = 0.2
# What is measured before the window is full does not count.
SETTLING_S = WINDOW_S + 1.0
ALLOWED_ERROR = 0.15
# A slot's error is relative to no less than this share of the mean: nothing else is, of nothing.
LEAST_SHARE = 0.1
LOADS = (0.5, 0.8, 2.0)
CONSTANT_BPS = (1e6, 5e6, 20e6, 100e6)
_BIN_S = 0.1
_PERIOD_S = 120.0

# Name of an uplink, the uplink, and how much of it to use.
Job = tuple[str, LinkTrace, float]


@dataclass(frozen=True)
class Run:
    """One trace at one load: times since the trace began [s], rates [bit/s]."""

    name: str
    load: float
    times_s: FloatArray
    estimates_bps: FloatArray
    lows_bps: FloatArray
    highs_bps: FloatArray
    truths_bps: FloatArray


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--traces', default='config/traces', metavar='DIR|FILE', help='uplinks (%(default)s)'
    )
    parser.add_argument(
        '--loads', type=float, nargs='+', default=LOADS, metavar='SHARE',
        help='of what the trace carries at the moment (0.5 0.8 2)',
    )  # fmt: skip
    parser.add_argument(
        '--seconds', type=float, default=60.0, metavar='S', help='of each run (%(default)s)'
    )
    parser.add_argument('--only-traces', action='store_true', help='no made-up, no constant ones')
    parser.add_argument('--together', type=int, default=1, metavar='N', help='runs at once (1)')


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """One run for each trace and load; prints a table, returns the figures."""
    if not arguments.seconds > SETTLING_S + WINDOW_S:
        raise InvalidValueError('--seconds', arguments.seconds, f'> {SETTLING_S + WINDOW_S:g}')
    jobs = [
        (name, trace, load)
        for name, trace in find_uplinks(arguments.traces, only_traces=arguments.only_traces)
        for load in arguments.loads
    ]
    runs: list[Run] = []
    console = Console(stderr=True)
    with (
        quick_server() as server,
        Progress(console=console) as progress,
        ThreadPoolExecutor(arguments.together) as pool,
    ):
        task = progress.add_task('capacity', total=len(jobs) * arguments.seconds)

        def measure_one(job: Job) -> Run:
            return measure(server, job, arguments.seconds, lambda: progress.advance(task, SAMPLE_S))

        runs.extend(pool.map(measure_one, jobs))
    rows = [summary(one) for one in runs]
    _print(rows)
    return {'window_s': WINDOW_S, 'allowed_error': ALLOWED_ERROR, 'rows': rows, 'runs': runs}


def plot(figures: dict[str, Any], folder: Path) -> list[Path]:
    """Draw what ``run`` returned."""
    from visionscaling_ros.trials.edge_plots import plot_capacity  # noqa: PLC0415  (a second)

    return [plot_capacity(figures['runs'], folder / 'edge_capacity.png')]


def measure(server: str, job: Job, seconds: float, on_sample: Callable[[], None]) -> Run:
    """Send a share of what a trace carries and note what the bridge makes of it."""
    name, trace, load = job
    with (
        shaped_link(server, trace) as (address, started_s),
        connected_bridge(address) as bridge,
    ):

        def demand_bps(now_s: float) -> float:
            return load * _mean_bps(trace, now_s - started_s + 0.5, 1.0)

        samples = []
        with OfferedFrames(bridge, demand_bps):
            for now_s, link in sampled(bridge, seconds, SAMPLE_S):
                time_s = now_s - started_s
                samples.append(
                    (
                        time_s,
                        np.nan_to_num(link.capacity_bps),
                        np.nan_to_num(link.capacity_low_bps),
                        np.nan_to_num(link.capacity_high_bps),
                        _mean_bps(trace, time_s, WINDOW_S),
                    )
                )
                on_sample()
    kept = np.array(samples[int(SETTLING_S / SAMPLE_S) :])
    return Run(name, load, *kept.T)


def summary(run: Run) -> dict[str, Any]:
    """Errors of a run: of the mean over time, and of the slots."""
    truth_bps = float(run.truths_bps.mean())
    slots = slice(None, None, round(1.0 / SAMPLE_S))
    scale_bps = np.maximum(run.truths_bps, LEAST_SHARE * truth_bps)[slots]
    errors = np.abs(run.estimates_bps - run.truths_bps)[slots] / scale_bps
    covered = (run.lows_bps <= run.truths_bps) & (run.truths_bps <= run.highs_bps)
    return {
        'uplink': run.name,
        'load': run.load,
        'capacity_bps': truth_bps,
        'dead_share': float((run.truths_bps < LEAST_SHARE * truth_bps).mean()),
        'mean_error': float(run.estimates_bps.mean() / truth_bps - 1.0),
        'slot_error_median': float(np.median(errors)),
        'slot_error_p90': float(np.quantile(errors, 0.9)),
        'covered': float(covered[slots].mean()),
    }


def find_uplinks(source: str, *, only_traces: bool) -> list[tuple[str, LinkTrace]]:
    """Traces of a folder or file, then made-up ones; raises InvalidValueError."""
    path = Path(source)
    files = sorted(f for f in path.iterdir() if f.is_file()) if path.is_dir() else [path]
    uplinks = [(file.stem, load_trace(str(file))) for file in files]
    if not only_traces:
        uplinks += made_up_traces()
        uplinks += [(f'{bps / 1e6:g} Mbit/s', LinkTrace.constant(bps)) for bps in CONSTANT_BPS]
    return uplinks


def made_up_traces() -> list[tuple[str, LinkTrace]]:
    """Uplinks that come and go, rise and fall, and flicker; the same ones every time."""
    random = np.random.default_rng(5)
    count = round(_PERIOD_S / _BIN_S)
    on_off = np.concatenate(list(_on_off(random, count)))[:count]
    corners_s = np.concatenate([[0.0], np.cumsum(random.uniform(2.0, 8.0, 60))])
    ramps = np.interp(
        _BIN_S * np.arange(count), corners_s, random.uniform(0.2e6, 15e6, len(corners_s))
    )
    steps = 0.3 * random.standard_normal(count)
    level = np.zeros(count)
    for index in range(1, count):
        level[index] = 0.9 * level[index - 1] + steps[index]
    times_s = (_BIN_S * np.arange(count + 1)).tolist()
    return [
        (name, LinkTrace(times_s, rates_bps.tolist()))
        for name, rates_bps in (
            ('on and off', on_off), ('ramps', ramps), ('flicker', 3e6 * np.exp(level)),
        )
    ]  # fmt: skip


def _on_off(random: np.random.Generator, count: int) -> Iterator[FloatArray]:
    for index in range(count):
        on = index % 2 == 0
        length = 1 + int(random.exponential(3.0 if on else 0.7) / _BIN_S)
        yield np.full(length, random.uniform(1e6, 8e6) if on else 0.0)


def _mean_bps(trace: LinkTrace, end_s: float, over_s: float) -> float:
    start_s = max(0.0, end_s - over_s)
    return (trace.delivered_bits(end_s) - trace.delivered_bits(start_s)) / over_s


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(title=f'capacity estimate against the last {WINDOW_S:g} s of the uplink')
    for column in ('uplink', 'load', 'Mbit/s', 'dead', 'error of the mean', 'error of a slot: '
                   'median', 'p90', 'inside the interval'):  # fmt: skip
        table.add_column(column, justify='left' if column == 'uplink' else 'right')
    for row in rows:
        error = row['mean_error']
        colour = 'green' if abs(error) <= ALLOWED_ERROR else 'red'
        table.add_row(
            row['uplink'],
            f'{row["load"]:g}',
            f'{row["capacity_bps"] / 1e6:.2f}',
            f'{row["dead_share"]:.0%}',
            f'[{colour}]{error:+.1%}[/]',
            f'{row["slot_error_median"]:.1%}',
            f'{row["slot_error_p90"]:.1%}',
            f'{row["covered"]:.0%}',
        )
    Console(file=sys.stdout).print(table)
