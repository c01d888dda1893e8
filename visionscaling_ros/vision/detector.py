"""What a detector is: the contract every implementation meets, and the data it passes along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from visionscaling_ros.datatypes import Detections, FloatArray, ImageArray
from visionscaling_ros.vision.letterbox import Letterbox


@dataclass(frozen=True)
class Prepared:
    """An image ready for the network, and how it was fitted.

    batch: float32 (1, height, width, 3) or (1, 3, height, width), as the network's engine reads
    it. It is the detector's own memory: the next image of the same input size overwrites it.
    """

    batch: FloatArray
    geometry: Letterbox


@dataclass(frozen=True)
class RawOutput:
    """The network's output tensors as they came, on the host, in the order of its decoder."""

    tensors: tuple[FloatArray, ...]


@runtime_checkable
class Detector(Protocol):
    """Finds objects in an image in three steps, so that each can be timed and placed on its own.

    ``forward`` is the part that runs on the GPU (and that an emulated clock stretches); it returns
    only when its result is on the host. One object serves one thread at a time.
    """

    @property
    def name(self) -> str:
        """The model's name in the catalog."""
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
        """Run once at this size, so that the first real frame is not slower than the others.

        Raises ModelError when the network does not answer as its manifest says.
        """
        ...

    def preprocess(self, image_bgr: ImageArray, input_size_px: int) -> Prepared:
        """Fit uint8 (H, W, 3) BGR into the input; ImageFormatError, InvalidValueError if not."""
        ...

    def forward(self, prepared: Prepared) -> RawOutput:
        """Run the network; raises ModelError when it fails."""
        ...

    def postprocess(self, raw: RawOutput, prepared: Prepared) -> Detections:
        """Threshold and suppress duplicates; boxes in source pixels, scores descending.

        Raises ModelError for an output that is not finite or of another shape.
        """
        ...


def detect(detector: Detector, image_bgr: ImageArray, input_size_px: int) -> Detections:
    """All three steps on one image."""
    prepared = detector.preprocess(image_bgr, input_size_px)
    return detector.postprocess(detector.forward(prepared), prepared)
