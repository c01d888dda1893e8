"""Image files with labels: the data set that the readers of all formats return."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from visionscaling_ros.datatypes import Detections, ImageArray, IntArray
from visionscaling_ros.errors import ImageFormatError, InvalidValueError
from visionscaling_ros.vision.datasets.image_files import read_image
from visionscaling_ros.vision.letterbox import fitted_size_px, resize_image

EDGE_TOLERANCE = 0.01  # of the image's side: labels reach over the edge by rounding, or by a hand


@dataclass(frozen=True)
class LabelledFile:
    """An image file and its labels.

    :param name: below the data set's folder; decides the side of a split.
    :param boxes: (N, 4) corners x_min y_min x_max y_max, in shares of width and height, 0 to 1.
    :param class_ids: (N,). :param crowd: (N,), regions of many objects.
    :param size_px: (width, height) the labels were made for, where they say so.
    """

    path: Path
    name: str
    boxes: npt.NDArray[np.float64]
    class_ids: IntArray
    crowd: npt.NDArray[np.bool_]
    size_px: tuple[int, int] | None = None


class LabelledFiles:
    """Image files with labels, in the order of their names; images are read when asked for.

    :param skipped: pictures that were left out because something is wrong with them.
    :param longest_side_px: larger images are shrunk to it when read; None: never.
    :raises InvalidValueError: no picture at all, or a bad ``longest_side_px``.
    """

    def __init__(
        self,
        files: Iterable[LabelledFile],
        class_names: Sequence[str],
        *,
        skipped: int = 0,
        longest_side_px: int | None = None,
    ) -> None:
        if longest_side_px is not None and longest_side_px < 1:
            raise InvalidValueError('longest_side_px', longest_side_px, '1 or more')
        self._files = tuple(sorted(files, key=lambda file: file.name))
        if not self._files:
            raise InvalidValueError('pictures', f'0 usable, {skipped} left out', '1 or more')
        self._class_names = tuple(class_names)
        self._longest_side_px = longest_side_px
        self.skipped = skipped

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class id."""
        return self._class_names

    @property
    def used_class_ids(self) -> frozenset[int]:
        """Classes of which there is an object."""
        return frozenset(int(c) for file in self._files for c in file.class_ids)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[ImageArray, Detections]:
        """Image and truth. Raises ImageFormatError where it cannot be read or has another size."""
        file = self._files[index]
        image = read_image(file.path)
        height_px, width_px = image.shape[:2]
        if file.size_px not in (None, (width_px, height_px)):
            raise ImageFormatError(
                f'{file.path} is {width_px}x{height_px}; '
                f'allowed: {file.size_px[0]}x{file.size_px[1]} px, as its labels say'
            )
        size_px = self._shown_size_px(width_px, height_px)
        return resize_image(image, *size_px), _detections(file, ~file.crowd, size_px)

    def crowd(self, index: int) -> Detections:
        """Regions of many objects, in pixels of the image as it is returned."""
        file = self._files[index]
        if file.size_px is None:  # a format without such regions
            return Detections.empty()
        return _detections(file, file.crowd, self._shown_size_px(*file.size_px))

    def name(self, index: int) -> str:
        """File name below the data set's folder."""
        return self._files[index].name

    def split(self, seed: int, test_share: float) -> tuple[LabelledFiles, LabelledFiles]:
        """(train, test): each file falls on its side by a hash of its name and the seed.

        So neither order nor the other files matter: what is added later moves nothing. Sides are
        of about the asked size. Frames of one video land on both sides; where that matters, split
        by hand. Raises InvalidValueError where a side would be empty.
        """
        if not 0.0 < test_share < 1.0:
            raise InvalidValueError('test_share', test_share, 'above 0, below 1')
        test = [file for file in self._files if _draw(seed, file.name) < test_share]
        train = [file for file in self._files if _draw(seed, file.name) >= test_share]
        if not test or not train:
            raise InvalidValueError(
                'test_share', test_share,
                f'a share that leaves pictures on both sides of {len(self._files)}',
            )  # fmt: skip
        return self._with(train), self._with(test)

    def sample(self, count: int, seed: int = 0) -> LabelledFiles:
        """At most ``count`` of the pictures, drawn by the hash of their names."""
        if count < 1:
            raise InvalidValueError('images', count, '1 or more')
        return self._with(sorted(self._files, key=lambda file: _draw(seed, file.name))[:count])

    def _with(self, files: Iterable[LabelledFile]) -> LabelledFiles:
        return LabelledFiles(
            files,
            self._class_names,
            skipped=self.skipped,
            longest_side_px=self._longest_side_px,
        )

    def _shown_size_px(self, width_px: int, height_px: int) -> tuple[int, int]:
        limit_px = self._longest_side_px
        if limit_px is None or max(width_px, height_px) <= limit_px:
            return width_px, height_px
        return fitted_size_px(width_px, height_px, limit_px)


def _detections(
    file: LabelledFile, chosen: npt.NDArray[np.bool_], size_px: tuple[int, int]
) -> Detections:
    scale: npt.NDArray[Any] = np.array([*size_px, *size_px], np.float64)
    boxes_px = (file.boxes[chosen] * scale).astype(np.float32)
    return Detections(boxes_px, np.ones(len(boxes_px), np.float32), file.class_ids[chosen])


def _draw(seed: int, name: str) -> float:
    """A number in [0, 1) that only seed and name decide."""
    digest = hashlib.blake2b(f'{seed}:{name}'.encode(), digest_size=8).digest()
    return int.from_bytes(digest, 'big') / 2**64
