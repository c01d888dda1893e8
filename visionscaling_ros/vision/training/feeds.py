"""Where training pictures come from: a worker process that draws or reads them without end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from torch.utils.data import DataLoader, IterableDataset

from visionscaling_ros.datatypes import Detections, ImageArray
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.datasets.labelled_images import LabelledImages
from visionscaling_ros.vision.scene import random_scene
from visionscaling_ros.vision.training.samples import PicturePool

SCENE_SIZE_PX = (640, 480)
POOL_CAPACITY = 1500
FRESH_PER_STEP = 4
Picture = tuple[ImageArray, Detections]


class SceneStream(IterableDataset[Picture]):
    """Endless stills; number k depends only on the seed and k, so a stream can start anywhere."""

    def __init__(self, seed: int, first: int) -> None:
        self._seed = seed
        self._first = first

    def __iter__(self) -> Iterator[Picture]:
        """Stills from the first on."""
        cv2.setNumThreads(1)
        number = self._first
        while True:
            yield random_scene(np.random.default_rng((self._seed, number)), *SCENE_SIZE_PX)
            number += 1


class PictureStream(IterableDataset[Picture]):
    """A data set over and over, in another order every time."""

    def __init__(self, pictures: LabelledImages, seed: int, first: int) -> None:
        self._pictures = pictures
        self._seed = seed
        self._first = first

    def __iter__(self) -> Iterator[Picture]:
        """Pictures from the first on."""
        cv2.setNumThreads(1)
        count = len(self._pictures)
        number = self._first
        while True:
            order = np.random.default_rng((self._seed, number // count)).permutation(count)
            for index in order[number % count :]:
                yield self._pictures[int(index)]
                number += 1


@dataclass(frozen=True)
class PictureFeed:
    """Pictures for a pool.

    :param stream: the pictures from a number on.
    :param start: how many fill the pool before the first step.
    :param capacity: how many the pool holds.
    :param fresh_per_step: how many are exchanged in every step.
    """

    stream: Callable[[int], IterableDataset[Picture]]
    start: int
    capacity: int
    fresh_per_step: int

    def fill(self, pool: PicturePool, step: int) -> Iterator[Picture]:
        """Fill the pool as it was at this step; what is returned goes on from there."""
        needed = self.start + step * self.fresh_per_step
        first = max(0, needed - self.capacity)
        loader = DataLoader(
            self.stream(first), batch_size=None, num_workers=1, prefetch_factor=64,
            collate_fn=_unchanged, multiprocessing_context='spawn',
        )  # fmt: skip
        pictures = iter(loader)
        for _ in range(needed - first):
            pool.add(*next(pictures))
        return pictures


def scene_feed(seed: int) -> PictureFeed:
    """Generated street and aerial scenes, never the same twice."""
    return PictureFeed(lambda first: SceneStream(seed, first), 160, POOL_CAPACITY, FRESH_PER_STEP)


def picture_feed(pictures: LabelledImages, seed: int) -> PictureFeed:
    """A data set: all of it in the pool where it fits, else exchanged step by step.

    Raises InvalidValueError when it is empty.
    """
    count = len(pictures)
    if count == 0:
        raise InvalidValueError('data', '0 pictures', 'at least one')
    fits = count <= POOL_CAPACITY
    return PictureFeed(
        lambda first: PictureStream(pictures, seed, first),
        start=min(count, POOL_CAPACITY),
        capacity=min(count, POOL_CAPACITY),
        fresh_per_step=0 if fits else FRESH_PER_STEP,
    )


def _unchanged(sample: Any) -> Any:
    return sample
