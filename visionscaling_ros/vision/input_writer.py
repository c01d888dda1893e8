"""Fits images into a network's input, in memory that is used again for every frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from visionscaling_ros.datatypes import FloatArray, ImageArray
from visionscaling_ros.vision.detector import Prepared
from visionscaling_ros.vision.input_format import InputFormat
from visionscaling_ros.vision.letterbox import Letterbox, check_image, resize_into

Allocate = Callable[[tuple[int, ...]], FloatArray]


def plain_memory(shape: tuple[int, ...]) -> FloatArray:
    """Float32 memory for what is not run here but sent elsewhere."""
    return np.empty(shape, np.float32)


@dataclass(frozen=True)
class _Slot:
    """Memory for images of one shape at one input size."""

    geometry: Letterbox
    batch: FloatArray  # what the network gets, padding already in place
    inner: tuple[FloatArray, ...]  # views of it that the image fills: rows of pixels, or planes
    resized_bgr: ImageArray
    planes: tuple[ImageArray, ...]  # of the resized image, where channels lie in planes
    row_factors: FloatArray  # of a row of pixels, where they do not
    row_summands: FloatArray


class InputWriter:
    """Resizes, pads, normalises and lays out images: one pass over the pixels for each.

    What ``write`` returns is valid until it is called again with the same input size.

    :param allocate: memory of a shape that the engine reads fastest.
    :param channels_last: batch (1, H, W, 3), else (1, 3, H, W).
    """

    def __init__(
        self, input_format: InputFormat, allocate: Allocate, *, channels_last: bool
    ) -> None:
        self._format = input_format
        self._allocate = allocate
        self._channels_last = channels_last
        factors, summands = input_format.factors()
        self._factors = np.array(factors, np.float32)
        self._summands = np.array(summands, np.float32)
        self._shifts = bool(self._summands.any())
        self._slots: dict[int, _Slot] = {}

    def write(self, image_bgr: ImageArray, input_size_px: int) -> Prepared:
        """Fit an image (H, W, 3). Raises ImageFormatError, InvalidValueError."""
        check_image(image_bgr)
        slot = self._slots.get(input_size_px)
        source_px = (image_bgr.shape[1], image_bgr.shape[0])
        if slot is None or source_px != (
            slot.geometry.source_width_px,
            slot.geometry.source_height_px,
        ):
            slot = self._slots[input_size_px] = self._slot(*source_px, input_size_px)
        resize_into(image_bgr, slot.resized_bgr)
        if self._format.color == 'rgb':
            cv2.cvtColor(slot.resized_bgr, cv2.COLOR_BGR2RGB, dst=slot.resized_bgr)
        if self._channels_last:
            self._write_pixels(slot)
        else:
            self._write_planes(slot)
        return Prepared(slot.batch, slot.geometry)

    def _write_pixels(self, slot: _Slot) -> None:
        (inner,) = slot.inner
        rows, values = inner.shape
        # whole rows at a time: channel by channel the loops would be three values long
        np.multiply(slot.resized_bgr.reshape(rows, values), slot.row_factors, out=inner)
        if self._shifts:
            np.add(inner, slot.row_summands, out=inner)

    def _write_planes(self, slot: _Slot) -> None:
        cv2.split(slot.resized_bgr, slot.planes)
        for channel, (plane, inner) in enumerate(zip(slot.planes, slot.inner, strict=True)):
            np.multiply(plane, self._factors[channel], out=inner)
            if self._summands[channel]:
                np.add(inner, self._summands[channel], out=inner)

    def _slot(self, width_px: int, height_px: int, input_size_px: int) -> _Slot:
        geometry = self._format.geometry(width_px, height_px, input_size_px)
        inner_width_px, inner_height_px = geometry.inner_size_px
        rows = slice(geometry.offset_y_px, geometry.offset_y_px + inner_height_px)
        columns = slice(geometry.offset_x_px, geometry.offset_x_px + inner_width_px)
        padding = np.float32(self._format.padding_value) * self._factors + self._summands
        inner_shape = (inner_height_px, inner_width_px)
        inner: tuple[FloatArray, ...]
        planes: tuple[ImageArray, ...] = ()
        if self._channels_last:
            batch = self._allocate((1, geometry.height_px, geometry.width_px, 3))
            batch[:] = padding
            values = slice(3 * columns.start, 3 * columns.stop)
            inner = (batch.reshape(geometry.height_px, -1)[rows, values],)
        else:
            batch = self._allocate((1, 3, geometry.height_px, geometry.width_px))
            batch[:] = padding[:, None, None]
            inner = tuple(batch[0, channel, rows, columns] for channel in range(3))
            planes = tuple(np.empty(inner_shape, np.uint8) for _ in range(3))
        return _Slot(
            geometry=geometry,
            batch=batch,
            inner=inner,
            resized_bgr=np.empty((*inner_shape, 3), np.uint8),
            planes=planes,
            row_factors=np.tile(self._factors, inner_width_px),
            row_summands=np.tile(self._summands, inner_width_px),
        )
