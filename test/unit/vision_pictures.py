"""Pictures a worker process can make: it has to import this by name."""

from __future__ import annotations

import os
import signal

import numpy as np
import torch

from visionscaling_ros.datatypes import Detections, ImageArray

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


class InterruptedPictures:
    """Two white pictures; with each its process gets Ctrl-C, as all of a terminal do."""

    class_names = ('even', 'odd')
    used_class_ids = frozenset((0, 1))

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[ImageArray, Detections]:
        os.kill(os.getpid(), signal.SIGINT)
        return np.full((48, 64, 3), 250, np.uint8), Detections.empty()

    def crowd(self, index: int) -> Detections:
        return Detections.empty()

    def name(self, index: int) -> str:
        return str(index)
