"""What a detector is: the contract every implementation meets, and the data it passes along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from visionscaling_ros.datatypes import Detections, FloatArray, ImageArray
from visionscaling_ros.vision.letterbox import Letterbox


@dataclass(frozen=True)
class Prepared:
    """An image ready for the network: uint8 (height, width, 3) BGR, and how it was fitted."""

    image_bgr: ImageArray
    geometry: Letterbox


@dataclass(frozen=True)
class RawOutput:
    """What the network says about every anchor point, on the host.

    boxes_px: float32 (A, 4) corners in input pixels. scores: float32 (A, classes), 0 to 1.
    """

    boxes_px: FloatArray
    scores: FloatArray


@runtime_checkable
class Detector(Protocol):
    """Finds objects in an image in three steps, so that each can be timed and placed on its own.

    ``forward`` is the part that runs on the GPU (and that an emulated clock stretches); it returns
    only when its result is on the host.
    """

    @property
    def name(self) -> str:
        """Name in the model zoo."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class id."""
        ...

    @property
    def input_sizes_px(self) -> tuple[int, ...]:
        """Input sizes (longer side) it was trained and measured for, ascending multiples of 32."""
        ...

    def warm_up(self, input_size_px: int) -> None:
        """Run once at this size, so that the first real frame is not slower than the others."""
        ...

    def preprocess(self, image_bgr: ImageArray, input_size_px: int) -> Prepared:
        """Fit uint8 (H, W, 3) BGR into the input; ImageFormatError, InvalidValueError if not."""
        ...

    def forward(self, prepared: Prepared) -> RawOutput:
        """Run the network."""
        ...

    def postprocess(self, raw: RawOutput, prepared: Prepared) -> Detections:
        """Threshold and suppress duplicates; boxes in source pixels, scores descending."""
        ...


def detect(detector: Detector, image_bgr: ImageArray, input_size_px: int) -> Detections:
    """All three steps on one image."""
    prepared = detector.preprocess(image_bgr, input_size_px)
    return detector.postprocess(detector.forward(prepared), prepared)
