"""``visionscaling edge-server``: the other end of the link."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from visionscaling_ros.edge.relative_detections import RelativeDetections
from visionscaling_ros.edge.server import EdgeServer
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.catalog import Catalog, built_in_catalog
from visionscaling_ros.vision.detector import Detector, detect
from visionscaling_ros.vision.engines.engine import ENGINES
from visionscaling_ros.vision.jpeg import decode_jpeg

HELP = 'inference server for robots that offload (Open Inference Protocol v2 over gRPC)'


class DetectorRunner:
    """The edge server's :class:`ModelRunner` over this package's detectors.

    Raises InvalidValueError for an unknown model; the weights are read by :meth:`warm_up`, which
    raises ModelError for those that cannot be used.

    :param threads: CPU threads of the engine.
    :param options: engine, device and precision, as for ``Catalog.load``.
    """

    def __init__(
        self, catalog: Catalog, models: tuple[str, ...], *, threads: int, **options: Any
    ) -> None:
        for name in models:
            catalog.entry(name)
        self._catalog = catalog
        self._models = models
        self._options = options
        self._threads = threads
        self._detectors: dict[str, Detector] = {}

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models it has."""
        return self._models

    def class_names(self, model: str) -> tuple[str, ...]:
        """Names of the classes of ``model``."""
        return tuple(self._detectors[model].class_names)

    def input_sizes_px(self, model: str) -> tuple[int, ...]:
        """The input sizes of ``model``."""
        return tuple(self._detectors[model].input_sizes_px)

    def warm_up(self) -> None:
        """Load every model and run it once at every input size."""
        import torch  # noqa: PLC0415 takes seconds, too long before a port in use is reported

        torch.set_num_threads(self._threads)
        self._detectors = {
            name: self._catalog.load(name, threads=self._threads, **self._options)
            for name in self._models
        }
        for detector in self._detectors.values():
            for size_px in detector.input_sizes_px:
                detector.warm_up(size_px)

    def run(self, model: str, input_size_px: int, jpeg: bytes) -> RelativeDetections:
        """Decode and detect; raises ImageFormatError if ``jpeg`` is no image."""
        image_bgr = decode_jpeg(jpeg)
        detections = detect(self._detectors[model], image_bgr, input_size_px)
        height_px, width_px = image_bgr.shape[:2]
        return RelativeDetections.from_pixels(detections, width_px, height_px)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--host', default='127.0.0.1', help='address to listen on (%(default)s)')
    parser.add_argument('--port', type=int, default=8001, help='0: a free one (%(default)s)')
    parser.add_argument('--models', nargs='+', metavar='MODEL', help='models to serve (all)')
    parser.add_argument(
        '--manifest', nargs='+', type=Path, default=[], metavar='FILE', help='models of your own'
    )
    parser.add_argument(
        '--engine', choices=('auto', *ENGINES), default='auto', help='what runs them (%(default)s)'
    )
    parser.add_argument('--device', default='auto', help='cpu, cuda, cuda:N (%(default)s)')
    parser.add_argument(
        '--half-precision', action='store_true', help='half as many bits, where the device can'
    )
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (%(default)s)')


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    if not 0 <= arguments.port <= 65535:
        raise InvalidValueError('--port', arguments.port, '0 to 65535')
    if arguments.threads < 1:
        raise InvalidValueError('--threads', arguments.threads, 'at least 1')
    catalog = built_in_catalog().with_manifests(arguments.manifest)
    models = tuple(arguments.models or catalog.names())
    runner = DetectorRunner(
        catalog,
        models,
        threads=arguments.threads,
        engine=arguments.engine,
        device=arguments.device,
        half_precision=arguments.half_precision,
    )
    server = EdgeServer(runner, host=arguments.host, port=arguments.port)
    server.serve(lambda address: print(f'edge server ready on {address}', flush=True))
    return 0
