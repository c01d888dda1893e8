"""``visionscaling edge-server``: the other end of the link."""

from __future__ import annotations

import argparse
from typing import Any

from visionscaling_ros.cli import edge_server_options as options
from visionscaling_ros.edge.server.server import EdgeServer
from visionscaling_ros.edge.server.server_log import say, server_log
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.catalog import built_in_catalog

HELP = 'inference server for robots that offload (Open Inference Protocol v2 over gRPC)'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    options.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    for name in ('threads', 'workers', 'max_batch', 'max_jobs', 'max_image_pixels'):
        if getattr(arguments, name) < 1:
            flag = f'--{name.replace("_", "-")}'
            raise InvalidValueError(flag, getattr(arguments, name), 'at least 1')
    with server_log():
        if arguments.engine == 'ray':
            _serve_replicas(arguments)
        else:
            _serve_here(arguments)
    return 0


def _serve_here(arguments: argparse.Namespace) -> None:
    from visionscaling_ros.serving.detector_runner import DetectorRunner  # noqa: PLC0415 torch

    catalog = built_in_catalog().with_manifests(arguments.manifest)
    runner = DetectorRunner(
        catalog,
        tuple(arguments.models or catalog.names()),
        threads=arguments.threads,
        max_image_pixels=arguments.max_image_pixels,
        engine=arguments.inference_engine,
        device=arguments.device,
        half_precision=arguments.half_precision,
    )
    _serve(runner, arguments, workers=arguments.workers)


def _serve_replicas(arguments: argparse.Namespace) -> None:
    from visionscaling_ros.serving.ray_options import RayOptions  # noqa: PLC0415 optional
    from visionscaling_ros.serving.ray_runner import RayRunner  # noqa: PLC0415 optional

    manifests = tuple(path.resolve() for path in arguments.manifest)
    catalog = built_in_catalog().with_manifests(manifests)
    ray_options = RayOptions(
        models=tuple(arguments.models or catalog.names()),
        manifests=manifests,
        engine=arguments.inference_engine,
        device=arguments.device,
        half_precision=arguments.half_precision,
        threads=arguments.threads,
        max_image_pixels=arguments.max_image_pixels,
        gpus_per_replica=arguments.gpus_per_replica,
        min_replicas=arguments.min_replicas,
        max_replicas=arguments.max_replicas,
        ongoing_per_replica=arguments.ongoing_per_replica,
        application=arguments.ray_application,
        address=arguments.ray_address,
    )
    with RayRunner(ray_options) as runner:
        _serve(runner, arguments, workers=runner.concurrency)


def _serve(runner: Any, arguments: argparse.Namespace, *, workers: int) -> None:
    server = EdgeServer(runner, workers=workers, **options.server_options(arguments))

    def ready(address: str) -> None:
        say(f'edge server ready on {address}')
        if server.metrics_address is not None:
            say(f'metrics on http://{server.metrics_address}/metrics')

    server.serve(ready)
