"""What a Ray Serve application of this package's detectors is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.serving.call_reader import MAX_IMAGE_PIXELS
from visionscaling_ros.serving.detector_runner import DetectorRunner
from visionscaling_ros.vision.catalog import built_in_catalog

LOCAL = 'local'


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """Models, how a replica runs them, and how many replicas there are.

    Raises InvalidValueError.

    :param models: names, of the built-in catalog and of ``manifests``.
    :param manifests: files that must lie at the same path on every computer of the cluster.
    :param engine: what runs the models in a replica, as for ``Catalog.load``.
    :param threads: CPU threads of a replica, which are also the CPUs it reserves.
    :param max_image_pixels: of a compressed image; larger ones are not decoded.
    :param gpus_per_replica: GPUs a replica reserves; fractions share one.
    :param ongoing_per_replica: batches waiting or running per replica above which one is added.
    :param application: its name in Ray Serve; another server of the same name replaces it.
    :param address: ``local`` starts Ray on this computer; ``auto`` or ``host:port`` joins what
        runs; ``ray://host:port`` is a client of it.
    """

    models: tuple[str, ...]
    manifests: tuple[Path, ...] = ()
    engine: str = 'auto'
    device: str = 'auto'
    half_precision: bool = False
    threads: int = 1
    max_image_pixels: int = MAX_IMAGE_PIXELS
    gpus_per_replica: float = 0.0
    min_replicas: int = 1
    max_replicas: int = 2
    ongoing_per_replica: float = 1.0
    application: str = 'visionscaling'
    address: str = LOCAL

    def __post_init__(self) -> None:
        if self.min_replicas < 1:
            raise InvalidValueError('min_replicas', self.min_replicas, 'at least 1')
        if self.max_replicas < self.min_replicas:
            raise InvalidValueError(
                'max_replicas', self.max_replicas, f'at least min_replicas, {self.min_replicas}'
            )
        if self.threads < 1:
            raise InvalidValueError('threads', self.threads, 'at least 1')
        if not 0.0 < self.ongoing_per_replica < math.inf:
            raise InvalidValueError('ongoing_per_replica', self.ongoing_per_replica, 'above 0')
        if not 0.0 <= self.gpus_per_replica < math.inf:
            raise InvalidValueError('gpus_per_replica', self.gpus_per_replica, 'at least 0')

    @property
    def max_ongoing(self) -> int:
        """Batches a replica holds at once: the one it runs, and as many as keep it busy."""
        return max(2, math.ceil(2.0 * self.ongoing_per_replica))

    @property
    def concurrency(self) -> int:
        """Batches under way at once that bring out and keep busy every replica."""
        return self.max_ongoing * self.max_replicas

    def runner(self) -> DetectorRunner:
        """What runs the models in a replica, not warmed up."""
        return DetectorRunner(
            built_in_catalog().with_manifests(self.manifests),
            self.models,
            threads=self.threads,
            max_image_pixels=self.max_image_pixels,
            engine=self.engine,
            device=self.device,
            half_precision=self.half_precision,
        )
