"""What the pipeline needs of detectors; ``vision.detector.Detector`` provides it."""

from __future__ import annotations

from typing import Any, Protocol

from visionscaling_ros.datatypes import Detections, ImageArray


class DetectorPort(Protocol):
    """A detector in three timed stages; only ``forward`` depends on the GPU clock."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by class id."""

    def preprocess(self, image_bgr: ImageArray, input_size_px: int) -> Any:
        """Letterbox and normalise a BGR image (H, W, 3)."""

    def forward(self, prepared: Any) -> Any:
        """Run the network."""

    def postprocess(self, raw: Any, prepared: Any) -> Detections:
        """Decode to boxes in pixels of the source image."""


class ModelsPort(Protocol):
    """The models by name. Both methods answer at once, from any thread."""

    def detector(self, model: str) -> DetectorPort | None:
        """The detector if it is ready to run now; asking may get it ready for later."""

    def class_names(self, model: str) -> tuple[str, ...]:
        """Names of the classes of a model, ready or not."""
