"""What training and evaluation ask of a data set."""

from __future__ import annotations

from typing import Protocol

from visionscaling_ros.datatypes import Detections, ImageArray


class LabelledImages(Protocol):
    """Pictures with what is in them, read one at a time. Indices run from 0 to ``len() - 1``."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class id."""
        ...

    @property
    def used_class_ids(self) -> frozenset[int]:
        """Classes that may occur in the truth."""
        ...

    def __len__(self) -> int:
        """How many pictures."""
        ...

    def __getitem__(self, index: int) -> tuple[ImageArray, Detections]:
        """uint8 (H, W, 3) BGR and its objects in its pixels, scores 1; ImageFormatError if not."""
        ...

    def crowd(self, index: int) -> Detections:
        """Regions of many objects (COCO ``iscrowd``): neither to be found nor wrong when found."""
        ...

    def name(self, index: int) -> str:
        """File name below the data set's folder, or a number."""
        ...
