"""Part ``set`` of bench-hardware: time from asking for a level until it is read back."""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.graph.supervised_process import SupervisedProcess
from visionscaling_ros.hardware.clockd.clockd_gpu_clock import ClockdGpuClock
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.trials.clock_kills.helper_process import (
    helper_command,
    helper_socket,
    wait_for_helper,
)
from visionscaling_ros.trials.clock_kills.machine_tree import CLOCK, MachineTree, write_machine

ALLOWED_S = 0.005


@dataclass(frozen=True)
class SetLatency:
    """What sets took; the first also keeps the state found on disk.

    :param way: who wrote: this process or the helper.
    """

    way: str
    sets: int
    first_s: float
    p50_s: float
    p99_s: float
    max_s: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--sets', type=int, default=500, metavar='N', help='each way (500)')


def measure(arguments: argparse.Namespace) -> list[SetLatency]:
    """Set levels of a file tree at random, directly and through a helper in its own process."""
    if not 100 <= arguments.sets <= 100_000:
        raise InvalidValueError('--sets', arguments.sets, '100 to 100000')
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tree = write_machine(folder / 'machine')
        clock = DevfreqGpuClock(DeviceFiles(tree.root), CLOCK.rpartition('/')[2])
        direct = _measure('direct', clock, tree, folder, arguments.sets)
        helper = SupervisedProcess(
            helper_command(tree.root, folder, os.getuid()), os.environ, lambda line: None
        )
        helper.start()
        try:
            wait_for_helper(helper, folder)
            helped = ClockdGpuClock(clock, helper_socket(folder))
            return [direct, _measure('by helper', helped, tree, folder, arguments.sets)]
        finally:
            helper.forbid_respawn()
            helper.signal(15)
            helper.wait()


def print_rows(rows: Sequence[SetLatency]) -> bool:
    """Print a table; whether 99 of 100 sets took less than ALLOWED_S."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=f'From asking to reading back: p99 at most {1e3 * ALLOWED_S:g} ms')
    for heading in ('way', 'sets', 'first', 'p50', 'p99', 'max'):
        table.add_column(heading, justify='left' if heading == 'way' else 'right')
    for row in rows:
        times_s = (row.first_s, row.p50_s, row.p99_s, row.max_s)
        table.add_row(row.way, str(row.sets), *(f'{1e3 * spent_s:.2f} ms' for spent_s in times_s))
    Console().print(table)
    return all(row.p99_s < ALLOWED_S for row in rows)


def _measure(way: str, clock: GpuClock, tree: MachineTree, folder: Path, sets: int) -> SetLatency:
    chance = random.Random(0)
    level_hz, times_s = 0.0, []
    with ClockGuard(clock, folder / 'found') as guard:
        for _ in range(sets):
            level_hz = chance.choice([other for other in tree.levels_hz if other != level_hz])
            began_s = time.perf_counter()
            guard.set_frequency(level_hz)
            times_s.append(time.perf_counter() - began_s)
    cuts_s = statistics.quantiles(times_s[1:], n=100, method='inclusive')
    return SetLatency(way, sets, times_s[0], cuts_s[49], cuts_s[98], max(times_s[1:]))
