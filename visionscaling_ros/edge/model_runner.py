"""What the edge server serves."""

from __future__ import annotations

from typing import Protocol

from visionscaling_ros.edge.relative_detections import RelativeDetections


class ModelRunner(Protocol):
    """Runs detectors on JPEG images. ``run`` and ``warm_up`` are called from one worker thread."""

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models it has."""

    def class_names(self, model: str) -> tuple[str, ...]:
        """Names of the classes that ``class_ids`` of ``model`` count."""

    def input_sizes_px(self, model: str) -> tuple[int, ...]:
        """The input sizes ``model`` runs at."""

    def warm_up(self) -> None:
        """Whatever makes the first ``run`` as fast as the later ones."""

    def run(self, model: str, input_size_px: int, jpeg: bytes) -> RelativeDetections:
        """Detect objects; raises VisionScalingError if ``jpeg`` is no image."""
