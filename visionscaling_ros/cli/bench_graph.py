"""``visionscaling bench-graph``: what the graph itself costs, measured on this machine."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml
from rich.console import Console
from rich.table import Table

from visionscaling_ros.datatypes import Allocation, ImageArray, Origin, SlotDecision
from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.graph.dds_profile import use_dds_profile
from visionscaling_ros.graph.descriptions import NodeDescription
from visionscaling_ros.graph.graphs import robot_graph
from visionscaling_ros.graph.options import RobotOptions
from visionscaling_ros.graph.process_runner import ProcessRunner
from visionscaling_ros.json_file import write_json

HELP = 'measure frame path, throughput, decision time and idle CPU of the graph'

PATH_RATE_FPS = 30.0
PATH_SIZES_PX = ((640, 480), (1920, 1080))
START_TIMEOUT_S = 60.0
SETTLE_FRAMES = 60
UNLIMITED_FPS = 1e4
THROUGHPUT_SIZE_PX = (640, 480)
OVERLOAD = 1.1  # camera rate over what the bare loop reaches
PICTURES = 30

Parameters = dict[str, dict[str, Any]]

NOTHING = SlotDecision(1, (), 0.0, 0.0, PATH_RATE_FPS, 'bench')
NO_WORK: Parameters = {'/inference_node': {'models': ['vsdet_n']}}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--seconds', type=float, default=10.0, metavar='S', help='for each figure')
    parser.add_argument(
        '--json', default='out/bench_graph.json', metavar='FILE', help='where to write the figures'
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure one figure after the other, then write and print them."""
    seconds = arguments.seconds
    use_dds_profile()  # this process takes part in the graph
    steps: list[tuple[str, Callable[[], dict[str, Any]]]] = []
    for compose, measure_path in ((False, _path_between_processes), (True, _path_composed)):
        for size_px in PATH_SIZES_PX:
            name = f'frame path {size_px[0]}x{size_px[1]}, {_where(compose)}'
            steps.append((name, partial(measure_path, *size_px, seconds)))
    point = _middle_point()
    for compose in (True, False):
        name = f'throughput, {_where(compose)}'
        steps.append((name, partial(_throughput, point, compose, seconds)))
    steps.append(('controller decision', lambda: _decision_time(seconds)))
    steps.append(('idle CPU', lambda: _idle_cpu(seconds)))
    results = {}
    for number, (name, measure) in enumerate(steps, start=1):
        print(f'[{number}/{len(steps)}] {name}', file=sys.stderr, flush=True)
        results[name] = measure()
    write_json(Path(arguments.json), results)
    _print(results)
    print(arguments.json)
    return 0


def _where(compose: bool) -> str:
    return 'composed' if compose else 'between processes'


@contextmanager
def _graph(
    parameters: Parameters, *, compose: bool, only: tuple[str, ...] = ()
) -> Iterator[ProcessRunner]:
    with tempfile.TemporaryDirectory() as folder:
        params_file = Path(folder) / 'bench.yaml'
        params_file.write_text(
            yaml.safe_dump({name: {'ros__parameters': v} for name, v in parameters.items()})
        )
        options = RobotOptions(params_file=str(params_file), compose=compose)
        descriptions = [
            d
            for d in robot_graph(options)
            if not only or (isinstance(d, NodeDescription) and set(only) & set(d.node_names))
        ]
        runner = ProcessRunner(descriptions, on_output=lambda name, line: None)
        runner.start()
        try:
            yield runner
        finally:
            runner.stop()


def _probe() -> Any:
    from visionscaling_ros.nodes.graph_probe import GraphProbe  # noqa: PLC0415  (needs ROS)

    return GraphProbe()


def _camera(width_px: int, height_px: int, rate_fps: float) -> dict[str, Any]:
    return {
        'source': 'synthetic',
        'width_px': width_px,
        'height_px': height_px,
        'rate_fps': rate_fps,
    }


def _cpu_s(runner: ProcessRunner) -> float:
    pids = [runner.process(name).pid for name in runner.names]
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(t.user + t.system for t in times))


def _path_between_processes(width_px: int, height_px: int, seconds: float) -> dict[str, Any]:
    """From a publisher here to the dispatcher there; nobody processes the frames."""
    image_bgr = _street_images(width_px, height_px)[0]
    with (
        _probe() as probe,
        _graph(NO_WORK, compose=False, only=('inference_node',)) as runner,
    ):
        probe.decide(NOTHING)
        _until_frames_arrive(probe, lambda: probe.publish_images(image_bgr, PATH_RATE_FPS, 1.0))
        probe.begin()
        cpu_s = _cpu_s(runner)
        for _ in range(max(1, round(seconds))):
            probe.decide(NOTHING)  # before decision_timeout_s
            probe.publish_images(image_bgr, PATH_RATE_FPS, 1.0)
        cpu_s = _cpu_s(runner) - cpu_s
        probe.wait_for_quiet()
        notes, _ = probe.end()
    return _path_figures(notes.sent_stamps_ns, notes.path_s, cpu_s)


def _path_composed(width_px: int, height_px: int, seconds: float) -> dict[str, Any]:
    """From the camera's stamp to the dispatcher in one process; nobody processes the frames."""
    parameters: Parameters = {'/camera_node': _camera(width_px, height_px, PATH_RATE_FPS)}
    with (
        _probe() as probe,
        _graph({**parameters, **NO_WORK}, compose=True, only=('camera_node',)) as runner,
    ):
        probe.decide(NOTHING)
        probe.wait_for_frames(SETTLE_FRAMES, START_TIMEOUT_S)
        probe.begin()
        cpu_s = _cpu_s(runner)
        for _ in range(max(1, round(seconds))):
            probe.decide(NOTHING)
            time.sleep(1.0)
        cpu_s = _cpu_s(runner) - cpu_s
        notes, _ = probe.end()
    window = notes.sent_stamps_ns[1:-1]  # the ends may fall outside the notes of the other side
    return _path_figures(window, notes.path_s, cpu_s)


def _path_figures(
    sent_stamps_ns: list[int], path_s: dict[int, float], cpu_s: float
) -> dict[str, Any]:
    arrived = [path_s[stamp] for stamp in sent_stamps_ns if stamp in path_s]
    sent = len(sent_stamps_ns)
    return {
        'frames_sent': sent,
        'frames_lost': sent - len(arrived),
        'lost_percent': round(100.0 * (1.0 - len(arrived) / sent), 2),
        'path_median_ms': _milliseconds(np.median(arrived)),
        'path_p95_ms': _milliseconds(np.percentile(arrived, 95)),
        'cpu_per_frame_ms': _milliseconds(cpu_s / sent),
    }


def _until_frames_arrive(probe: Any, publish: Callable[[], None]) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not probe.has_frames(SETTLE_FRAMES):
        publish()
        if time.monotonic() > deadline_s:
            raise VisionScalingError(f'no frame arrived within {START_TIMEOUT_S:.0f} s')


def _street_images(width_px: int, height_px: int) -> list[ImageArray]:
    from visionscaling_ros.vision.scene.street_scene import StreetScene  # noqa: PLC0415

    scene = StreetScene(seed=0, width_px=width_px, height_px=height_px)
    return [scene.frame(index)[0] for index in range(PICTURES)]


def _throughput(point: tuple[str, int], compose: bool, seconds: float) -> dict[str, Any]:
    """Frames a second through the graph over those of the same model in a bare loop.

    The camera reads pictures from files that take next to no time to read: what is measured is
    the graph, not the drawing of a street.
    """
    from visionscaling_ros.vision.catalog import built_in_catalog  # noqa: PLC0415

    _one_thread()
    model, input_size_px = point
    detector = built_in_catalog().load(model)
    detector.warm_up(input_size_px)
    images = _street_images(*THROUGHPUT_SIZE_PX)
    before_fps = _bare_loop_fps(detector, input_size_px, images, seconds / 2)
    rate_fps = OVERLOAD * before_fps
    everything = SlotDecision(
        1,
        (Allocation(model, input_size_px, Origin.LOCAL, UNLIMITED_FPS),),
        0.0,
        0.0,
        0.0,
        'bench',
    )
    with (
        _picture_folder(images) as folder,
        _probe() as probe,
        _graph(
            {
                '/camera_node': {'source': folder, 'rate_fps': rate_fps, 'loop': True},
                '/inference_node': {
                    'models': [model],
                    'safe_input_size_px': input_size_px,
                },
            },
            compose=compose,
            only=('camera_node', 'inference_node'),
        ),
    ):
        probe.decide(everything)
        probe.wait_for_frames(SETTLE_FRAMES, START_TIMEOUT_S)
        probe.begin()
        time.sleep(seconds)
        notes, elapsed_s = probe.end()
    after_fps = _bare_loop_fps(detector, input_size_px, images, seconds / 2)
    graph_fps = notes.processed / elapsed_s
    bare_fps = 0.5 * (before_fps + after_fps)
    return {
        'operating_point': f'{model}@{input_size_px}',
        'bare_fps': round(bare_fps, 2),
        'graph_fps': round(graph_fps, 2),
        'ratio': round(graph_fps / bare_fps, 3),
    }


@contextmanager
def _picture_folder(images: list[ImageArray]) -> Iterator[str]:
    import cv2  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        for index, image_bgr in enumerate(images):
            cv2.imwrite(f'{folder}/{index:03d}.bmp', image_bgr)
        yield folder


def _middle_point() -> tuple[str, int]:
    """The model in the middle of those that ship, cheapest first, at its middle input size [px]."""
    from visionscaling_ros.nodes.inference_parameters import SHIPPED  # noqa: PLC0415
    from visionscaling_ros.vision.catalog import built_in_catalog  # noqa: PLC0415

    model = SHIPPED[len(SHIPPED) // 2]
    sizes_px = built_in_catalog().entry(model).input_sizes_px
    return model, sizes_px[len(sizes_px) // 2]


def _one_thread() -> None:
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)


def _bare_loop_fps(
    detector: Any, input_size_px: int, images: list[ImageArray], seconds: float
) -> float:
    count, started_s = 0, time.monotonic()
    while time.monotonic() - started_s < seconds:
        prepared = detector.preprocess(images[count % len(images)], input_size_px)
        detector.postprocess(detector.forward(prepared), prepared)
        count += 1
    return count / (time.monotonic() - started_s)


def _decision_time(seconds: float) -> dict[str, Any]:
    parameters: Parameters = {'/camera_node': _camera(640, 480, 15.0)}
    with _probe() as probe, _graph(parameters, compose=True):
        probe.wait_for_decisions(max(10, int(seconds)), START_TIMEOUT_S + seconds)
        times_s = probe.end()[0].decision_times_s
    return {
        'decisions': len(times_s),
        'decision_median_ms': _milliseconds(statistics.median(times_s)),
        'decision_p95_ms': _milliseconds(np.percentile(times_s, 95)),
    }


def _idle_cpu(seconds: float) -> dict[str, Any]:
    """All five nodes as processes of their own, the camera deactivated."""
    parameters: Parameters = {'/camera_node': _camera(640, 480, 15.0)}
    with _probe() as probe, _graph(parameters, compose=False) as runner:
        probe.wait_for_frames(1, START_TIMEOUT_S)
        probe.deactivate('/camera_node')
        time.sleep(2.0)  # frames in flight
        cpu_s = _cpu_s(runner)
        time.sleep(seconds)
        cpu_s = _cpu_s(runner) - cpu_s
    return {'idle_cpu_percent_of_a_core': round(100.0 * cpu_s / seconds, 1)}


def _milliseconds(value_s: float) -> float:
    return round(1e3 * float(value_s), 3)


def _print(results: dict[str, dict[str, Any]]) -> None:
    table = Table(title='The graph on this machine')
    table.add_column('measured')
    table.add_column('figures')
    for name, figures in results.items():
        table.add_row(name, ', '.join(f'{key} {value}' for key, value in figures.items()))
    Console().print(table)
