"""``visionscaling bench-record``: what recording costs beyond receiving, measured on this machine.

One process listens to every topic of a running demo. In turns it throws the messages away and
records them; the difference of its CPU time between the turns is what recording costs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from visionscaling_ros.bags.bag_writer import STORAGES, BagWriter
from visionscaling_ros.bags.message_definitions import MessageDefinitions
from visionscaling_ros.bags.recording import RecordedTopic, Recording
from visionscaling_ros.bags.topic_choice import TopicChoice
from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.graph.dds_profile import use_dds_profile
from visionscaling_ros.graph.graphs import demo_graph
from visionscaling_ros.graph.options import DemoOptions
from visionscaling_ros.graph.private_domain import in_private_domain
from visionscaling_ros.graph.process_runner import ProcessRunner
from visionscaling_ros.json_file import write_json

HELP = 'measure the CPU time of recording beyond that of receiving'
START_TIMEOUT_S = 90.0
SETTLE_S = 5.0
LOOKS = 100
QUEUE_BYTES = 128 * 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--seconds', type=float, default=10.0, metavar='S', help='of each turn')
    parser.add_argument('--rounds', type=int, default=4, metavar='N', help='turns of each kind')
    parser.add_argument(
        '--folder', default=None, metavar='DIR', help='where the bags lie meanwhile (temporary)'
    )
    parser.add_argument(
        '--json', default='out/bench_record.json', metavar='FILE', help='where to write the figures'
    )


@dataclass(frozen=True)
class Turn:
    """CPU time of this process in a turn, as part of one core, and what it received."""

    core_percent: float
    messages_per_s: float
    mb_per_s: float
    dropped: int = 0


class SwitchedSink:
    """Throws messages away until it is given a recording.

    ``start_cpu_s``: what the definitions of the topics' types took, once and for all [s].
    """

    def __init__(self) -> None:
        self._offers: dict[str, tuple[str, Sequence[Any]]] = {}
        self._recording: Recording | None = None
        self._topics: dict[str, RecordedTopic] = {}
        self.messages = 0
        self.size = 0
        began_s = time.process_time()
        self.definitions = MessageDefinitions()
        self.start_cpu_s = time.process_time() - began_s

    def add_topic(self, name: str, message_type: str, qos: Sequence[Any]) -> str:
        """Know a topic."""
        began_s = time.thread_time()
        self.definitions.find(message_type)
        self.start_cpu_s += time.thread_time() - began_s
        self._offers[name] = message_type, qos
        return name

    def record_to(self, recording: Recording | None) -> None:
        """Where the messages go from now on; None: away."""
        self._topics = (
            {name: recording.add_topic(name, *offer) for name, offer in self._offers.items()}
            if recording is not None
            else {}
        )
        self._recording = recording

    def put(self, name: str, log_ns: int, data: bytes) -> None:
        """Take a message."""
        self.messages += 1
        self.size += len(data)
        if self._recording is not None and name in self._topics:
            self._recording.put(self._topics[name], log_ns, data)


def run(arguments: argparse.Namespace) -> int:
    """Take the turns; write and print the figures."""
    from visionscaling_ros.cli.demo import free_port  # noqa: PLC0415
    from visionscaling_ros.nodes.topic_tap import LOOK_PERIOD_S, TopicTap  # noqa: PLC0415

    use_dds_profile()
    options = DemoOptions(edge_port=free_port(), link_port=free_port())
    sink = SwitchedSink()
    turns: dict[str, list[Turn]] = {kind: [] for kind in ('receive', *STORAGES)}
    with (
        in_private_domain(),
        tempfile.TemporaryDirectory(dir=arguments.folder, prefix='bench-record-') as folder,
        ProcessRunner(demo_graph(options), on_output=lambda name, line: None),
        TopicTap(TopicChoice(), sink) as tap,
    ):
        _wait_for_decisions(tap)
        for number in range(arguments.rounds):
            for kind, done in turns.items():
                print(f'[{number + 1}/{arguments.rounds}] {kind}', file=sys.stderr, flush=True)
                path = None if kind == 'receive' else Path(folder) / f'{kind}-{number}'
                done.append(_turn(sink, arguments.seconds, path, kind))
        look_s = tap.run(lambda: _cpu_s_of(tap.look, LOOKS))
    look_percent = 100.0 * look_s / LOOK_PERIOD_S
    once = {'looking_for_topics_percent': look_percent, 'start_cpu_s': sink.start_cpu_s}
    figures = {**{name: round(value, 3) for name, value in once.items()}, **_figures(turns)}
    write_json(Path(arguments.json), figures)
    _print(figures, turns)
    print(arguments.json)
    return 0


def _wait_for_decisions(tap: Any) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while '/slot_decision' not in tap.topics:
        if time.monotonic() > deadline_s:
            raise VisionScalingError(f'the demo did not start within {START_TIMEOUT_S:.0f} s')
        time.sleep(0.5)
    time.sleep(SETTLE_S)


def _turn(sink: SwitchedSink, seconds: float, path: Path | None, kind: str) -> Turn:
    messages, size = sink.messages, sink.size
    began_s, cpu_s = time.monotonic(), time.process_time()
    recording = None
    if path is not None:
        writer = BagWriter(path, kind)
        recording = Recording(writer, queue_bytes=QUEUE_BYTES, definitions=sink.definitions)
        sink.record_to(recording)
    time.sleep(seconds)
    if recording is not None:
        sink.record_to(None)
        recording.close()
    cpu_s, elapsed_s = time.process_time() - cpu_s, time.monotonic() - began_s
    turn = Turn(
        100.0 * cpu_s / elapsed_s,
        (sink.messages - messages) / elapsed_s,
        (sink.size - size) / elapsed_s / 1e6,
    )
    if recording is None or path is None:
        return turn
    if recording.failed:
        raise VisionScalingError(recording.end_reason)
    for file in path.iterdir():
        file.unlink()
    return replace(turn, dropped=recording.state.dropped)


def _cpu_s_of(action: Any, times: int) -> float:
    cpu_s = time.thread_time()
    for _ in range(times):
        action()
    return (time.thread_time() - cpu_s) / times


def _figures(turns: dict[str, list[Turn]]) -> dict[str, Any]:
    """Of each kind: the turns, and the median of its difference to the turn of the same round."""
    figures: dict[str, Any] = {}
    for kind, done in turns.items():
        beyond = [
            turn.core_percent - base.core_percent
            for turn, base in zip(done, turns['receive'], strict=True)
        ]
        figures[kind] = {
            'turns': done,
            'core_percent': round(statistics.median(t.core_percent for t in done), 2),
            'beyond_receiving_percent': round(statistics.median(beyond), 2),
        }
    return figures


def _print(figures: dict[str, Any], turns: dict[str, list[Turn]]) -> None:
    table = Table(title='Recording the demo, CPU time in percent of a core')
    for heading in ('', 'all', 'beyond receiving', 'messages/s', 'MB/s', 'dropped'):
        table.add_column(heading, justify='right' if heading else 'left')
    for kind, done in turns.items():
        table.add_row(
            kind,
            f'{figures[kind]["core_percent"]:.1f}',
            f'{figures[kind]["beyond_receiving_percent"]:.1f}',
            f'{statistics.median(t.messages_per_s for t in done):.0f}',
            f'{statistics.median(t.mb_per_s for t in done):.1f}',
            str(sum(t.dropped for t in done)),
        )
    table.add_section()
    table.add_row('looking for topics', '', f'{figures["looking_for_topics_percent"]:.1f}')
    Console().print(table)
