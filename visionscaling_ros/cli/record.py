"""``visionscaling record``: a running graph into a bag."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from visionscaling_ros.bags.topic_names import absolute
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.graph.dds_profile import use_dds_profile
from visionscaling_ros.graph.stop_signals import stop_signals_handled
from visionscaling_ros.json_file import write_json

if TYPE_CHECKING:
    from visionscaling_ros.bags.recording import Recording, TopicSummary

HELP = 'record a running graph into a bag'
POLL_S = 0.5
SILENCE_S = 5.0  # without a message for so long is worth a word
NOTHING = (
    'nothing to record yet: no robot runs in this ROS_DOMAIN_ID, or not in the namespace given; '
    '--all takes what belongs to no robot'
)
NO_TIME = 'nothing to record yet: nobody publishes /clock, which --use-sim-time takes the time from'
UNITS = {'K': 1e3, 'M': 1e6, 'G': 1e9, 'T': 1e12}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--out', metavar='DIR', help='folder of the bag (bag-<date>-<time> in this folder)'
    )
    parser.add_argument('--storage', choices=('mcap', 'sqlite3'), default='mcap')
    parser.add_argument('--compress', choices=('none', 'zstd'), default='none')
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        '--topics', nargs='+', default=[], metavar='TOPIC', help='only these; * and ? as in a shell'
    )
    which.add_argument(
        '--all', action='store_true', help="every topic, not a robot's and the global ones only"
    )
    parser.add_argument(
        '--exclude', nargs='+', default=[], metavar='TOPIC', help='not these; * and ? as in a shell'
    )
    parser.add_argument(
        '--namespace',
        nargs='+',
        default=[],
        metavar='NS',
        help='of the robots to record (every robot there is)',
    )
    parser.add_argument(
        '--images',
        choices=('raw', 'compressed', 'all', 'none'),
        default='raw',
        help='which images (raw; compressed ones where there are no raw ones)',
    )
    parser.add_argument(
        '--no-images', action='store_const', const='none', dest='images', help='--images none'
    )
    parser.add_argument('--duration', type=float, metavar='S', help='end after so many seconds')
    parser.add_argument(
        '--max-size', metavar='SIZE', help='end when the bag is so large, such as 500M or 2G [B]'
    )
    parser.add_argument(
        '--queue-mib', type=int, default=128, metavar='MIB', help='memory for a slow disk (128)'
    )
    parser.add_argument(
        '--use-sim-time', action='store_true', help='messages carry the time of /clock'
    )
    parser.add_argument('--json', metavar='FILE', help='write the summary')


def run(arguments: argparse.Namespace) -> int:
    """Record until a signal, the duration, the size or a full disk; 1 after a failure."""
    from visionscaling_ros.bags.bag_writer import BagWriter  # noqa: PLC0415  (slow to import)
    from visionscaling_ros.bags.topic_choice import TopicChoice  # noqa: PLC0415

    duration_s = math.inf if arguments.duration is None else arguments.duration
    if not duration_s > 0.0:
        raise InvalidValueError('duration', arguments.duration, 'more than 0 s')
    if not arguments.queue_mib >= 1:
        raise InvalidValueError('queue-mib', arguments.queue_mib, '1 MiB and more')
    max_bytes = size_bytes(arguments.max_size) if arguments.max_size else None
    choice = TopicChoice(
        namespaces=tuple(arguments.namespace),
        only=tuple(map(absolute, arguments.topics)),
        exclude=tuple(map(absolute, arguments.exclude)),
        everything=arguments.all,
        images=arguments.images,
    )
    use_dds_profile()
    from visionscaling_ros.nodes.bag_recorder import BagRecorder  # noqa: PLC0415  (needs ROS)

    folder = Path(arguments.out or f'bag-{datetime.now():%Y%m%d-%H%M%S}')
    stop = threading.Event()
    console = Console(stderr=True, highlight=False)
    with stop_signals_handled(lambda _number, _frame: stop.set()):
        writer = BagWriter(folder, arguments.storage, compress=arguments.compress == 'zstd')
        recorder = BagRecorder(
            writer,
            choice,
            queue_bytes=arguments.queue_mib * 2**20,
            max_bytes=max_bytes,
            on_end=stop.set,
            on_skipped=lambda topic, why: console.out(f'{topic} is not recorded: {why}'),
            use_sim_time=arguments.use_sim_time,
        )
        with recorder:
            print(f'recording to {folder}; Ctrl-C ends it', file=sys.stderr, flush=True)
            nothing = NO_TIME if arguments.use_sim_time else NOTHING
            _watch(recorder.recording, stop, duration_s, console, nothing)
    recording = recorder.recording
    summary = recording.summary()
    print_summary(folder, summary)
    if arguments.json:
        write_json(Path(arguments.json), {'bag': str(folder), 'topics': summary})
    if recording.end_reason:
        print(f'visionscaling: ended: {recording.end_reason}', file=sys.stderr)
    return int(recording.failed)


def size_bytes(words: str) -> int:
    """A size such as 500M or 2G [B]; raises InvalidValueError."""
    with contextlib.suppress(ValueError, IndexError, OverflowError):
        unit = UNITS.get(words[-1].upper())
        size = float(words[:-1]) * unit if unit else float(words)
        if size >= 1.0:
            return int(size)
    raise InvalidValueError('max-size', words, 'a size such as 500M or 2G')


def _watch(
    recording: Recording, stop: threading.Event, duration_s: float, console: Console, nothing: str
) -> None:
    """Show how far it is until it ends; ``nothing``: why there may be no message."""
    began_s = time.monotonic()
    told: set[str] = set()

    def tell(words: str) -> None:
        if words not in told:
            told.add(words)
            console.out(words)

    with Live(console=console, transient=True, auto_refresh=False) as live:
        while not stop.wait(min(POLL_S, began_s + duration_s - time.monotonic())):
            elapsed_s = time.monotonic() - began_s
            state = recording.state
            if state.dropped:
                tell('the disk is too slow: the oldest messages are dropped, images first')
            if not state.messages and elapsed_s > SILENCE_S:
                tell(nothing)
            if console.is_terminal:
                live.update(
                    Text(
                        f'{elapsed_s:6.0f} s  {state.topics} topics  {state.messages} messages  '
                        f'{state.size_bytes / 1e6:.1f} MB  {state.dropped} dropped'
                    ),
                    refresh=True,
                )
            if elapsed_s >= duration_s:
                return


def print_summary(folder: Path, summary: list[TopicSummary]) -> None:
    """What the bag has, topic by topic."""
    table = Table(title=str(folder))
    table.add_column('topic', overflow='fold')
    for heading in ('messages', 'MB', 'Hz', 'dropped'):
        table.add_column(heading, justify='right')
    for row in summary:
        rate = f'{row.rate_hz:.2f}' if row.rate_hz is not None else ''
        size = f'{row.size_bytes / 1e6:.2f}'
        table.add_row(row.topic, str(row.messages), size, rate, str(row.dropped))
    totals = (sum(getattr(row, name) for row in summary) for name in ('messages', 'dropped'))
    messages, dropped = map(str, totals)
    size = f'{sum(row.size_bytes for row in summary) / 1e6:.2f}'
    table.add_section()
    table.add_row('all', messages, size, '', dropped)
    Console().print(table)
