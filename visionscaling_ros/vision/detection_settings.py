"""What there is to say about reading a network's output, besides the network."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from visionscaling_ros.vision.decoders.output_format import OutputFormat


class DetectionSettings(Protocol):
    """The part of a manifest that ``OutputReader`` needs. ``path``: where it comes from."""

    @property
    def path(self) -> Path:
        """The file, for errors."""
        ...

    @property
    def output(self) -> OutputFormat:
        """What the tensors mean."""
        ...

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class id."""
        ...

    @property
    def score_threshold(self) -> float:
        """Weaker detections are dropped."""
        ...

    @property
    def iou_threshold(self) -> float:
        """Of two of a class that overlap more the weaker is dropped."""
        ...

    @property
    def max_detections(self) -> int:
        """In an image."""
        ...
