"""``visionscaling replay``: a bag's messages, published as they were recorded."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from visionscaling_ros.cli.replay_progress import ReplayProgress
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.graph.dds_profile import use_dds_profile
from visionscaling_ros.graph.stop_signals import stop_signals_handled
from visionscaling_ros.json_file import write_json

if TYPE_CHECKING:
    from visionscaling_ros.bags.playback import Playback, PlaybackSummary
    from visionscaling_ros.nodes.bag_player import BagPlayer

HELP = 'play a bag (rosbag2 mcap or sqlite3, rosbag 1) as it was recorded'
CLOCK_HZ = 100.0
WAIT_S = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('bag', metavar='BAG', help='folder of a bag, or its .mcap, .db3 or .bag')
    parser.add_argument('--rate', type=float, default=1.0, metavar='X', help='times as fast (1)')
    parser.add_argument('--loop', action='store_true', help='begin again at the end')
    parser.add_argument(
        '--start', type=float, default=0.0, metavar='S', help='begin so many seconds into the bag'
    )
    parser.add_argument('--duration', type=float, metavar='S', help='seconds of the bag to play')
    parser.add_argument(
        '--topics', nargs='+', default=[], metavar='TOPIC', help='only these; * and ? as in a shell'
    )
    parser.add_argument(
        '--exclude', nargs='+', default=[], metavar='TOPIC', help='not these; * and ? as in a shell'
    )
    parser.add_argument(
        '--remap', nargs='+', default=[], metavar='FROM:=TO', help='play under another name'
    )
    parser.add_argument(
        '--inputs-only',
        action='store_true',
        help="nothing that this package's own nodes publish, so that they can run on the bag",
    )
    parser.add_argument(
        '--clock',
        type=float,
        nargs='?',
        const=CLOCK_HZ,
        metavar='HZ',
        help=f'publish the time of the bag on /clock ({CLOCK_HZ:g} times a second)',
    )
    parser.add_argument(
        '--wait-for-subscribers',
        type=float,
        nargs='?',
        const=WAIT_S,
        metavar='S',
        help=f'wait until each topic has a subscriber, so long at most ({WAIT_S:g} s)',
    )
    parser.add_argument(
        '--wait-topics',
        nargs='+',
        default=['*'],
        metavar='TOPIC',
        help='wait for subscribers of these only; * and ? as in a shell',
    )
    parser.add_argument('--list', action='store_true', help='only say what is in the bag')
    parser.add_argument('--json', metavar='FILE', help='write the summary')


def run(arguments: argparse.Namespace) -> int:
    """Play until the end or a signal; 1 when nothing could be played."""
    from visionscaling_ros.bags.bag_reader import BagReader  # noqa: PLC0415  (slow to import)
    from visionscaling_ros.bags.playback import Playback, PlaybackOptions  # noqa: PLC0415
    from visionscaling_ros.bags.playback_topics import (  # noqa: PLC0415
        PlayedTopics,
        parse_remappings,
    )

    if arguments.clock is not None and not 1.0 <= arguments.clock <= 1000.0:
        raise InvalidValueError('clock', arguments.clock, '1 to 1000 Hz')
    wait_s = arguments.wait_for_subscribers
    if wait_s is not None and not wait_s >= 0.0:
        raise InvalidValueError('wait-for-subscribers', wait_s, '0 s or more')
    options = PlaybackOptions(
        rate=arguments.rate,
        loop=arguments.loop,
        start_s=arguments.start,
        duration_s=arguments.duration,
        clock=arguments.clock is not None,
        topics=PlayedTopics(
            only=arguments.topics,
            exclude=arguments.exclude,
            remappings=parse_remappings(arguments.remap),
            inputs_only=arguments.inputs_only,
        ),
    )
    with BagReader(arguments.bag) as bag:
        if arguments.list:
            _print_topics(bag)
            return 0
        use_dds_profile()
        from visionscaling_ros.nodes.bag_player import BagPlayer  # noqa: PLC0415  (needs ROS)

        stop = threading.Event()
        progress = ReplayProgress(arguments.bag, arguments.rate)
        player = BagPlayer(bag.fields)
        with stop_signals_handled(lambda _number, _frame: stop.set()), player:
            playback = Playback(
                bag, options, player, stop, on_message=progress.update, on_gap=progress.tell_gap
            )
            behind = _play(playback, player, arguments, stop, progress)
    _print_summary(arguments.bag, playback.summary, behind)
    if arguments.json:
        content = {'bag': arguments.bag, **playback.summary.as_dict(), 'unacknowledged': behind}
        write_json(Path(arguments.json), content)
    if not playback.summary.published and not playback.summary.interrupted:
        print('visionscaling: nothing of the bag could be played', file=sys.stderr)
        return 1
    return 0


def _play(
    playback: Playback,
    player: BagPlayer,
    arguments: argparse.Namespace,
    stop: threading.Event,
    progress: ReplayProgress,
) -> list[str]:
    """Topics of which a subscriber did not take all."""
    from visionscaling_ros.bags.playback_topics import matching  # noqa: PLC0415

    awaited = matching('wait-topics', arguments.wait_topics, playback.names)
    playback.prepare()
    if arguments.clock is not None:
        player.tell_time(arguments.clock, playback.clock.now_ns)
    if arguments.wait_for_subscribers is not None:
        names = [playback.names[name] for name in awaited]
        lonely = player.wait_for_subscribers(names, arguments.wait_for_subscribers, stop)
        if lonely and not stop.is_set():
            print(f'no subscriber of {", ".join(lonely)}; played anyway', file=sys.stderr)
    with progress.shown(playback.length_s):
        playback.run()
    return [] if stop.is_set() else player.finish()


def _print_topics(bag: Any) -> None:
    table = Table(title=f'{bag.path}: {(bag.end_ns - bag.start_ns) / 1e9:.1f} s')
    table.add_column('topic', overflow='fold')
    table.add_column('type', overflow='fold')
    table.add_column('messages', justify='right')
    for topic in bag.topics:
        table.add_row(topic.name, topic.message_type, str(topic.count))
    Console().print(table)


def _print_summary(bag: str, summary: PlaybackSummary, behind: list[str]) -> None:
    table = Table(title=bag)
    table.add_column('topic', overflow='fold')
    table.add_column('messages', justify='right')
    table.add_column('skipped', justify='right')
    table.add_column('why', overflow='fold')
    for name, count in sorted(summary.published.items()):
        why = 'a subscriber did not take all' if name in behind else ''
        table.add_row(name, str(count), '', why)
    for name, reasons in summary.skipped.by_topic.items():
        for reason, count in reasons.items():
            table.add_row(name, '', str(count), reason)
    table.add_section()
    published, skipped = sum(summary.published.values()), summary.skipped.total
    table.add_row('all', str(published), str(skipped) if skipped else '', '')
    console = Console()
    console.print(table)
    words = []
    if late_ms := summary.lateness.summary():
        words.append('late by p50 {p50:.1f}, p95 {p95:.1f}, at most {max:.1f} ms'.format(**late_ms))
    if summary.out_of_order:
        words.append(f'{summary.out_of_order} messages out of order')
    if summary.loops > 1:
        words.append(f'begun {summary.loops} times')
    if summary.interrupted:
        words.append('interrupted')
    console.print('; '.join(words), highlight=False)
