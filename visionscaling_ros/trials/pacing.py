"""What really leaves in every slot against what was decided for it."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.trials.byte_counter import ByteCounter
from visionscaling_ros.trials.child import quick_server
from visionscaling_ros.trials.offered_frames import OfferedFrames, connected_bridge

NAME = 'pacing'
HELP = 'bytes that leave and arrive in every slot against the decided rate, which changes each slot'

ALLOWED_ERROR = 0.03
LOWEST_BPS, HIGHEST_BPS = 0.2e6, 20e6
LARGEST_BYTES = 60_000
# Frames stay of use for longer than the largest takes at the lowest rate, so that there always is
# something to send.
DEADLINE_S = 10.0


class Slot(NamedTuple):
    """One slot: what was decided, what left and what arrived."""

    start_s: float
    duration_s: float
    decided_bps: float
    sent_bps: float
    arrived_bps: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--slots', type=int, default=60, metavar='N', help='(%(default)s)')
    parser.add_argument('--slot', type=float, default=1.0, metavar='S', help='length (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the rates (%(default)s)')


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Send as much as the pace lets for some slots; prints a table, returns the figures."""
    if arguments.slots < 1:
        raise InvalidValueError('--slots', arguments.slots, 'at least 1')
    if not 0.1 <= arguments.slot <= 60.0:
        raise InvalidValueError('--slot', arguments.slot, '0.1 to 60 s')
    slots = measure(arguments.slots, arguments.slot, arguments.seed)
    figures = summary(slots, arguments.slot)
    _print(figures)
    return {'allowed_error': ALLOWED_ERROR, **figures, 'slots': [s._asdict() for s in slots]}


def plot(figures: dict[str, Any], folder: Path) -> list[Path]:
    """Draw what ``run`` returned."""
    from visionscaling_ros.trials.edge_plots import plot_pacing  # noqa: PLC0415  (a second)

    return [plot_pacing(figures['slots'], ALLOWED_ERROR, folder / 'edge_pacing.png')]


def measure(count: int, slot_s: float, seed: int) -> list[Slot]:
    """A new rate every ``slot_s``, with more frames than any of them carries."""
    random = np.random.default_rng(seed)
    low, high = np.log([LOWEST_BPS, HIGHEST_BPS])
    rates_bps = np.exp(random.uniform(low, high, count)).tolist()
    starts: list[tuple[float, int]] = []
    with (
        quick_server() as server,
        ByteCounter(server) as counter,
        connected_bridge(counter.address) as bridge,
    ):
        bridge.set_tx_rate_bps(rates_bps[0], slot_s)
        with OfferedFrames(
            bridge,
            lambda now_s: 3.0 * HIGHEST_BPS,
            deadline_s=DEADLINE_S,
            largest_bytes=LARGEST_BYTES,
            seed=seed,
        ):
            time.sleep(slot_s)
            start_s = time.monotonic()
            for index in track(
                range(count + 1), 'pacing', console=Console(stderr=True), transient=True
            ):
                time.sleep(max(0.0, start_s + index * slot_s - time.monotonic()))
                sent_bytes = bridge.set_tx_rate_bps(rates_bps[index % count], slot_s)
                starts.append((time.monotonic(), sent_bytes))
    slots = []
    for index, rate_bps in enumerate(rates_bps):
        (start_s, before_bytes), (end_s, after_bytes) = starts[index : index + 2]
        duration_s = end_s - start_s
        arrived_bytes = counter.arrived_bytes(end_s) - counter.arrived_bytes(start_s)
        slots.append(
            Slot(
                start_s - starts[0][0],
                duration_s,
                rate_bps,
                8.0 * (after_bytes - before_bytes) / duration_s,
                8.0 * arrived_bytes / duration_s,
            )
        )
    return slots


def summary(slots: list[Slot], slot_s: float) -> dict[str, Any]:
    """Errors over all slots, by what left and by what arrived, relative to what was decided.

    ``late_s``: how far decisions were from their time at most; no pace can make up for that.
    """
    decided = np.array([slot.decided_bps for slot in slots])
    figures: dict[str, Any] = {'late_s': max(abs(slot.duration_s - slot_s) for slot in slots)}
    for name in ('sent', 'arrived'):
        errors = np.array([getattr(slot, f'{name}_bps') for slot in slots]) / decided - 1.0
        sizes = np.abs(errors)
        figures[name] = {
            'median': float(np.median(sizes)),
            'p95': float(np.quantile(sizes, 0.95)),
            'worst': float(errors[int(sizes.argmax())]),
            'worst_at_bps': float(decided[int(sizes.argmax())]),
            'within': float((sizes <= ALLOWED_ERROR).mean()),
        }
    return figures


def _print(figures: dict[str, Any]) -> None:
    table = Table(title='rate of a slot against the decided one')
    for column in ('bytes that', 'median', 'p95', 'worst', 'at Mbit/s', f'<= {ALLOWED_ERROR:.0%}'):
        table.add_column(column, justify='left' if column == 'bytes that' else 'right')
    for name, label in (('sent', 'left'), ('arrived', 'arrived')):
        row = figures[name]
        colour = 'green' if abs(row['worst']) <= ALLOWED_ERROR else 'red'
        table.add_row(
            label,
            f'{row["median"]:.2%}',
            f'{row["p95"]:.2%}',
            f'[{colour}]{row["worst"]:+.2%}[/]',
            f'{row["worst_at_bps"] / 1e6:.2f}',
            f'{row["within"]:.0%}',
        )
    console = Console(file=sys.stdout)
    console.print(table)
    console.print(f'decisions were up to {1e3 * figures["late_s"]:.1f} ms off their time')
