"""``visionscaling bench-vision``: what detecting costs here, step by step, at every point."""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.json_file import write_json
from visionscaling_ros.vision.catalog import Catalog, built_in_catalog
from visionscaling_ros.vision.detector import Detector
from visionscaling_ros.vision.letterbox import fit
from visionscaling_ros.vision.work_count import count_flops

if TYPE_CHECKING:
    from torch import nn

HELP = 'measure pre-processing, network and post-processing of every model, size and engine'

IMAGE_PX = (640, 480)
PICTURES = 10
STEPS = ('preprocess', 'forward', 'postprocess')


@dataclass
class Point:
    """One model at one input size on one engine, and its times by step [s]."""

    model: str
    input_size_px: int
    engine: str
    detector: Detector
    times_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def run(self, image_bgr: ImageArray) -> None:
        """Detect once, and take the times."""
        begun_s = time.perf_counter()
        prepared = self.detector.preprocess(image_bgr, self.input_size_px)
        prepared_s = time.perf_counter()
        raw = self.detector.forward(prepared)
        answered_s = time.perf_counter()
        self.detector.postprocess(raw, prepared)
        done_s = time.perf_counter()
        marks_s = (begun_s, prepared_s, answered_s, done_s)
        for step, before_s, after_s in zip(STEPS, marks_s, marks_s[1:], strict=False):
            self.times_s[step].append(after_s - before_s)
        self.times_s['total'].append(done_s - begun_s)

    def median_ms(self, step: str) -> float:
        """Median time of a step [ms]."""
        return 1e3 * statistics.median(self.times_s[step])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--models', nargs='+', metavar='MODEL', help='models to measure (all)')
    parser.add_argument('--sizes', nargs='+', type=int, metavar='PX', help='input sizes (all)')
    parser.add_argument('--engines', nargs='+', metavar='ENGINE', help='engines (all installed)')
    parser.add_argument(
        '--manifest', nargs='+', type=Path, default=[], metavar='FILE', help='models of your own'
    )
    parser.add_argument('--rounds', type=int, default=40, help='times each runs (%(default)s)')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (%(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures there')
    parser.add_argument('--plot', type=Path, metavar='FILE', help='draw latency against GFLOPs')


def run(arguments: argparse.Namespace) -> int:
    """Measure all points in turn, round after round, so that all see the same machine."""
    for name, least in (('rounds', 3), ('threads', 1)):
        if getattr(arguments, name) < least:
            raise InvalidValueError(f'--{name}', getattr(arguments, name), f'{least} or more')
    import torch  # noqa: PLC0415 (a second)

    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    catalog = built_in_catalog().with_manifests(arguments.manifest)
    points = list(_points(catalog, arguments))
    if not points:
        raise InvalidValueError('--models, --sizes, --engines', [], 'some that can run here')
    networks = _networks(catalog, points)
    plain = {
        (p.model, p.input_size_px): _plain_call(networks[p.model], p.input_size_px)
        for p in points
        if p.engine == 'torch' and p.model in networks
    }
    images = _images()
    plain_s = _measure(points, plain, images, arguments.rounds)
    rows = [_row(point, networks, plain_s) for point in points]
    middle_point = _middle(points)
    document = {
        'image_px': IMAGE_PX,
        'rounds': arguments.rounds,
        'threads': arguments.threads,
        'middle_point': middle_point,
        'switch_ms': round(_switch_ms(points, images, arguments.rounds), 3),
        'points': rows,
    }
    _print(rows, middle_point)
    print(f'first frame after a switch over the next one: {document["switch_ms"]} ms')
    if arguments.json:
        write_json(arguments.json, document)
        print(arguments.json)
    if arguments.plot:
        _plot(rows, arguments.plot)
        print(arguments.plot)
    return 0


def _points(catalog: Catalog, arguments: argparse.Namespace) -> Iterator[Point]:
    for name in arguments.models or catalog.names():
        entry = catalog.entry(name)
        for engine in catalog.engines(name):
            if arguments.engines and engine not in arguments.engines:
                continue
            detector = catalog.load(name, engine=engine, threads=arguments.threads)
            for size_px in entry.input_sizes_px:
                if not arguments.sizes or size_px in arguments.sizes:
                    detector.warm_up(size_px)
                    yield Point(name, size_px, engine, detector)


def _networks(catalog: Catalog, points: list[Point]) -> dict[str, nn.Module]:
    """The bare torch network of every model that has one of known arithmetic."""
    from visionscaling_ros.vision.model_loading import load_network_module  # noqa: PLC0415

    entries = [catalog.entry(name) for name in dict.fromkeys(point.model for point in points)]
    return {
        entry.name: load_network_module(entry)
        for entry in entries
        if entry.manifest.format == 'vsdet'
    }


def _images() -> list[ImageArray]:
    from visionscaling_ros.vision.scene import StreetScene  # noqa: PLC0415

    scene = StreetScene(3, *IMAGE_PX)
    return [scene.frame(50 + 20 * number)[0] for number in range(PICTURES)]


def _plain_call(network: nn.Module, input_size_px: int) -> Callable[[ImageArray], object]:
    """Resize and run, as in any example: no padding, no decoding, no suppression."""
    import torch  # noqa: PLC0415

    geometry = fit(*IMAGE_PX, input_size_px)
    size_px = (geometry.width_px, geometry.height_px)

    def call(image_bgr: ImageArray) -> object:
        with torch.no_grad():
            pixels = torch.from_numpy(cv2.resize(image_bgr, size_px))
            return network(pixels.permute(2, 0, 1)[None].float() / 255.0)

    return call


def _measure(
    points: list[Point],
    plain: dict[tuple[str, int], Callable[[ImageArray], object]],
    images: list[ImageArray],
    rounds: int,
) -> dict[tuple[str, int], float]:
    """Run everything ``rounds`` times; the median of the plain calls [s]."""
    plain_s: dict[tuple[str, int], list[float]] = defaultdict(list)
    for number in range(rounds):
        image_bgr = images[number % PICTURES]
        for point in points:
            point.run(image_bgr)
            key = (point.model, point.input_size_px)
            if point.engine == 'torch' and key in plain:
                begun_s = time.perf_counter()
                plain[key](image_bgr)
                plain_s[key].append(time.perf_counter() - begun_s)
    return {key: statistics.median(times_s) for key, times_s in plain_s.items()}


def _switch_ms(points: list[Point], images: list[ImageArray], rounds: int) -> float:
    """Median extra time of a first frame after another model, size or engine [ms]."""
    rng = np.random.default_rng(0)
    extra_s = []
    for number in range(rounds):
        image_bgr = images[number % PICTURES]
        for point in points:
            points[int(rng.integers(len(points)))].run(image_bgr)
            for _ in range(2):
                point.run(image_bgr)
            first_s, next_s = point.times_s['total'][-2:]
            extra_s.append(first_s - next_s)
    return 1e3 * statistics.median(extra_s)


def _row(
    point: Point, networks: dict[str, nn.Module], plain_s: dict[tuple[str, int], float]
) -> dict[str, Any]:
    forward_ms = point.median_ms('forward')
    around_ms = point.median_ms('preprocess') + point.median_ms('postprocess')
    key = (point.model, point.input_size_px)
    network = networks.get(point.model)
    return {
        'model': point.model,
        'input_size_px': point.input_size_px,
        'engine': point.engine,
        'gflops': round(_gflops(network, point.input_size_px), 3) if network else None,
        **{f'{step}_ms': round(point.median_ms(step), 3) for step in (*STEPS, 'total')},
        'around_share': round(around_ms / forward_ms, 4),
        'plain_ms': (
            round(1e3 * plain_s[key], 3) if point.engine == 'torch' and key in plain_s else None
        ),
    }


def _gflops(network: nn.Module, input_size_px: int) -> float:
    """Floating-point operations of one image, a multiplication and an addition counted as two."""
    import torch  # noqa: PLC0415

    geometry = fit(*IMAGE_PX, input_size_px)
    images = torch.zeros(1, 3, geometry.height_px, geometry.width_px)
    return 1e-9 * count_flops(lambda: network(images))


def _middle(points: list[Point]) -> str:
    """The point in the middle by the time of its network, on the first engine measured."""
    same = [point for point in points if point.engine == points[0].engine]
    ordered = sorted(same, key=lambda point: point.median_ms('forward'))
    point = ordered[len(ordered) // 2]
    return f'{point.model}@{point.input_size_px}'


def _print(rows: list[dict[str, Any]], middle: object) -> None:
    table = Table(title=f'{IMAGE_PX[0]}x{IMAGE_PX[1]} images, medians in ms; middle: {middle}')
    heads = ('point', 'engine', 'GFLOPs', 'pre', 'network', 'post', 'total', '(pre+post)/network',
             'plain call')  # fmt: skip
    for head in heads:
        table.add_column(head, justify='left' if head in ('point', 'engine') else 'right')
    for row in rows:
        table.add_row(
            f'{row["model"]}@{row["input_size_px"]}',
            row['engine'],
            '' if row['gflops'] is None else f'{row["gflops"]:.2f}',
            *(f'{row[f"{step}_ms"]:.2f}' for step in (*STEPS, 'total')),
            f'{row["around_share"]:.1%}',
            '' if row['plain_ms'] is None else f'{row["plain_ms"]:.2f}',
        )
    Console(width=120).print(table)


def _plot(rows: list[dict[str, Any]], path: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7, 4.5), layout='constrained')
    axes = figure.add_subplot(xlabel='GFLOPs per image', ylabel='network [ms]')
    for engine in dict.fromkeys(row['engine'] for row in rows):
        own = [row for row in rows if row['engine'] == engine and row['gflops'] is not None]
        gflops = np.array([row['gflops'] for row in own])
        axes.plot(gflops, [row['forward_ms'] for row in own], 'o', label=engine, alpha=0.8)
    axes.legend()
    axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
