"""Pictures a worker process of the training can make: it has to import this by name."""

from __future__ import annotations

import numpy as np
import torch

from visionscaling_ros.datatypes import Detections

CLASSES = 4


class FlatPictures(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
    """One bright square on grey per picture; number k depends only on k."""

    def __init__(self, first: int) -> None:
        self._first = first

    def __iter__(self):  # type: ignore[no-untyped-def]
        number = self._first
        while True:
            image = np.full((96, 128, 3), 40, np.uint8)
            left = 8 * (number % 8)
            image[20:60, left : left + 40] = 200
            box = np.array([[left, 20, left + 40, 60]], np.float32)
            yield image, Detections(box, np.ones(1, np.float32), np.array([number % CLASSES]))
            number += 1
