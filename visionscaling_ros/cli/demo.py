"""``visionscaling demo``: the whole loop on this machine, beside what people run today."""

from __future__ import annotations

import argparse
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from visionscaling_ros.control.policy import DEFAULT_POLICY, POLICY_NAMES
from visionscaling_ros.demo.report import print_comparison, write_report
from visionscaling_ros.demo.run_record import RunRecord
from visionscaling_ros.demo.slot_table import SlotTable
from visionscaling_ros.demo.summary import summarize
from visionscaling_ros.edge.link.trace import load_trace
from visionscaling_ros.errors import InvalidValueError, VisionScalingError
from visionscaling_ros.graph.dds_profile import use_dds_profile
from visionscaling_ros.graph.graphs import demo_graph
from visionscaling_ros.graph.options import DemoOptions
from visionscaling_ros.graph.process_runner import ProcessRunner

HELP = 'run robot, shaped uplink and edge server here; report against a fixed baseline'
BASELINE_POLICY = 'fixed'  # largest model that meets the target, full clock, on the robot
START_TIMEOUT_S = 90.0
POLL_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--duration', type=float, default=60.0, metavar='S', help='seconds a run')
    parser.add_argument(
        '--video', default='', metavar='FILE', help='video file in place of the synthetic street'
    )
    parser.add_argument(
        '--trace', default='', metavar='FILE', help='uplink: mahimahi file, CSV or rate in bit/s'
    )
    parser.add_argument('--policy', default='', help='policy to run beside the baseline')
    parser.add_argument('--rate', default='', metavar='FPS', help='frames a second of the camera')
    parser.add_argument('--no-baseline', action='store_true', help='run the policy only')
    parser.add_argument('--out', default='out', metavar='DIR', help='folder for the reports')
    parser.add_argument('--params-file', default='', metavar='FILE', help='node parameters')
    parser.add_argument(
        '--record',
        nargs='?',
        const='mcap',
        choices=('mcap', 'sqlite3'),
        help='record every run into a bag beside the report (mcap)',
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the policy, then the baseline on the same input; write and print the report."""
    _check(arguments)
    use_dds_profile()  # the recorder takes part in the graph
    folder = Path(arguments.out) / datetime.now().strftime('%Y%m%d-%H%M%S')
    folder.mkdir(parents=True)
    options = DemoOptions(
        params_file=arguments.params_file,
        source=str(Path(arguments.video).resolve()) if arguments.video else 'synthetic',
        rate=arguments.rate,
        trace=arguments.trace,
        policy=arguments.policy or DEFAULT_POLICY,
    )
    measure = partial(_measure, duration_s=arguments.duration, storage=arguments.record)
    record, run_summary = measure(options, folder / 'run.log')
    baseline_record, baseline = None, None
    if not arguments.no_baseline:
        baseline_record, baseline = measure(
            replace(options, policy=BASELINE_POLICY), folder / 'baseline.log'
        )
    extra = {'baseline': baseline} if baseline else {}
    write_report(folder / 'report.json', run_summary, extra)
    _plot(folder / 'report.png', record, baseline_record)
    print_comparison(run_summary, baseline)
    print(f'{folder / "report.json"}  {folder / "report.png"}')
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what could not run before anything is started."""
    if not 2.0 <= arguments.duration <= 86400.0:
        raise InvalidValueError('duration', arguments.duration, '2 to 86400 s')
    if arguments.video and not Path(arguments.video).is_file():
        raise InvalidValueError('video', arguments.video, 'an existing video file')
    if arguments.trace:
        load_trace(arguments.trace)
    if arguments.policy and arguments.policy not in POLICY_NAMES:
        raise InvalidValueError('policy', arguments.policy, ', '.join(POLICY_NAMES))


def _measure(
    options: DemoOptions, log_path: Path, *, duration_s: float, storage: str | None
) -> tuple[RunRecord, dict[str, Any]]:
    from visionscaling_ros.nodes.recorder import Recorder  # noqa: PLC0415  (needs ROS)

    options = replace(options, edge_port=free_port(), link_port=free_port())
    title = f'{options.policy}: {duration_s:.0f} s, {options.source}'
    with ExitStack() as stack:
        log = stack.enter_context(log_path.open('w'))
        runner = ProcessRunner(
            demo_graph(options), on_output=lambda name, line: print(name, line, file=log)
        )
        stack.callback(runner.stop)
        table = SlotTable(title)
        began_s = time.monotonic()
        recorder = stack.enter_context(
            Recorder(
                on_slot=lambda row: table.add(row, time.monotonic() - began_s, duration_s)
            )
        )
        if storage is not None:
            stack.enter_context(_recorded(log_path.with_name(f'{log_path.stem}_bag'), storage))
        print(f'{options.policy}: starting the nodes (their output: {log_path})', flush=True)
        runner.start()
        _wait_until_running(runner, recorder, log_path)
        with table:
            began_s = time.monotonic()
            recorder.begin()
            while (left_s := began_s + duration_s - time.monotonic()) > 0.0:
                time.sleep(min(POLL_S, left_s))
                _check_running(runner, log_path)
            record = recorder.end()
        power_source = recorder.power_source
    summary = summarize(record)
    summary['power_source'] = power_source
    summary['source'] = options.source
    return record, summary


@contextmanager
def _recorded(folder: Path, storage: str) -> Iterator[None]:
    """Record everything meanwhile; a disk that is full ends the recording, not the run."""
    from visionscaling_ros.bags.bag_writer import BagWriter  # noqa: PLC0415  (slow to import)
    from visionscaling_ros.bags.topic_choice import TopicChoice  # noqa: PLC0415
    from visionscaling_ros.nodes.bag_recorder import BagRecorder  # noqa: PLC0415  (needs ROS)

    recorder = BagRecorder(BagWriter(folder, storage), TopicChoice())
    with recorder:
        yield
    recording = recorder.recording
    state = recording.state
    print(f'{folder}: {state.messages} messages, {state.dropped} dropped', recording.end_reason)


def _wait_until_running(runner: ProcessRunner, recorder: Any, log_path: Path) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not recorder.wait_for_decision(POLL_S):
        _check_running(runner, log_path)
        if time.monotonic() > deadline_s:
            raise VisionScalingError(
                f'no decision was made within {START_TIMEOUT_S:.0f} s; see {log_path}'
            )


def _check_running(runner: ProcessRunner, log_path: Path) -> None:
    ended = [name for name in runner.names if not runner.process(name).is_running]
    if ended:
        raise VisionScalingError(f'{", ".join(ended)} ended by itself; see {log_path}')


def _plot(path: Path, record: RunRecord, baseline: RunRecord | None) -> None:
    from visionscaling_ros.demo.plot import plot_run  # noqa: PLC0415  (a second to import)

    plot_run(path, record, baseline)


def free_port() -> int:
    """A TCP port nobody has on this machine now."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])
