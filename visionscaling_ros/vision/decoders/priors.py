"""Prior boxes of SSD (Liu et al., ECCV 2016, arXiv:1512.02325, section 2.2)."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import Fields

Lists = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Priors:
    """Which boxes sit at every cell of every feature map.

    For each smallest size of a map: a square of it, one of the geometric mean of it and its
    largest size where that is given, then for every aspect ratio r the boxes r:1 and 1:r.

    :param steps_px: input pixels from one cell of a map to the next; a map has as many cells as
        it takes to cover the input.
    :param min_sizes_px: smallest sizes, one list for each map.
    :param max_sizes_px: as many largest ones, or none at all.
    :param aspect_ratios: one list, maybe empty, for each map.
    :param clip: cut the boxes at the sides of the input.
    """

    steps_px: tuple[int, ...]
    min_sizes_px: Lists
    max_sizes_px: Lists
    aspect_ratios: Lists
    clip: bool = False

    def count(self, width_px: int, height_px: int) -> int:
        """How many there are in an input of this size."""
        return sum(
            math.ceil(width_px / step_px) * math.ceil(height_px / step_px) * len(self._sizes(k))
            for k, step_px in enumerate(self.steps_px)
        )

    def boxes(self, width_px: int, height_px: int) -> FloatArray:
        """Centre x, y, width, height [px] of each (A, 4), map by map, row by row, cell by cell."""
        return _boxes(self, width_px, height_px)

    def _sizes(self, number: int) -> list[tuple[float, float]]:
        """Widths and heights at every cell of a map."""
        sizes: list[tuple[float, float]] = []
        largest = self.max_sizes_px[number] if self.max_sizes_px else ()
        for k, side_px in enumerate(self.min_sizes_px[number]):
            sizes.append((side_px, side_px))
            if largest:
                sizes.append((math.sqrt(side_px * largest[k]),) * 2)
            for ratio in self.aspect_ratios[number]:
                long_px, short_px = side_px * math.sqrt(ratio), side_px / math.sqrt(ratio)
                sizes += [(long_px, short_px), (short_px, long_px)]
        return sizes


@functools.lru_cache(maxsize=16)
def _boxes(priors: Priors, width_px: int, height_px: int) -> FloatArray:
    maps: list[FloatArray] = []
    for number, step_px in enumerate(priors.steps_px):
        sizes = np.array(priors._sizes(number), np.float32)
        rows, columns = np.mgrid[: math.ceil(height_px / step_px), : math.ceil(width_px / step_px)]
        centers = (np.stack([columns, rows], -1).reshape(-1, 1, 2) + 0.5) * step_px
        boxes = np.empty((len(centers), len(sizes), 4), np.float32)
        boxes[..., :2], boxes[..., 2:] = centers, sizes
        maps.append(boxes.reshape(-1, 4))
    found: FloatArray = np.concatenate(maps)
    if priors.clip:
        limit = np.array([width_px, height_px], np.float32)
        low = np.clip(found[:, :2] - found[:, 2:] / 2, 0.0, limit)
        high = np.clip(found[:, :2] + found[:, 2:] / 2, 0.0, limit)
        found = np.hstack([(low + high) / 2, high - low]).astype(np.float32)
    return found


def read_priors(fields: Fields) -> Priors:
    """The ``priors`` of a manifest. Raises InvalidValueError naming the field."""
    steps_px = fields.wholes('steps_px', 1, 4096)
    none: Lists = ((),) * len(steps_px)
    priors = Priors(
        steps_px=steps_px,
        min_sizes_px=fields.lists('min_sizes_px', 0.1, 1e5),
        max_sizes_px=fields.lists('max_sizes_px', 0.1, 1e5) if fields.has('max_sizes_px') else (),
        aspect_ratios=(
            fields.lists('aspect_ratios', 0.01, 100.0) if fields.has('aspect_ratios') else none
        ),
        clip=fields.flag('clip', False),
    )
    fields.done()
    for key, lists in (
        ('min_sizes_px', priors.min_sizes_px),
        ('aspect_ratios', priors.aspect_ratios),
    ):
        if len(lists) != len(steps_px):
            raise InvalidValueError(
                fields.name_of(key), f'{len(lists)} lists', f'{len(steps_px)}, one for each step'
            )
    if priors.max_sizes_px and list(map(len, priors.max_sizes_px)) != list(
        map(len, priors.min_sizes_px)
    ):
        raise InvalidValueError(
            fields.name_of('max_sizes_px'),
            [list(sizes) for sizes in priors.max_sizes_px],
            'as many in each list as in min_sizes_px',
        )
    return priors
