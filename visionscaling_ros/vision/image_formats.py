"""Raw camera images of the usual encodings as BGR arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.errors import ImageFormatError


@dataclass(frozen=True)
class _Layout:
    """Bytes of a pixel in a row, rows per image row, and OpenCV's conversion to BGR."""

    channels: int
    conversion: int | None
    rows_numerator: int = 2
    multiple_px: int = 1  # width and height must be multiples of this

    def rows(self, height_px: int) -> int:
        return height_px * self.rows_numerator // 2


_LAYOUTS = {
    'bgr8': _Layout(3, None),
    'rgb8': _Layout(3, cv2.COLOR_RGB2BGR),
    'bgra8': _Layout(4, cv2.COLOR_BGRA2BGR),
    'rgba8': _Layout(4, cv2.COLOR_RGBA2BGR),
    'mono8': _Layout(1, cv2.COLOR_GRAY2BGR),
    'yuv422_yuy2': _Layout(2, cv2.COLOR_YUV2BGR_YUY2, multiple_px=2),
    'yuyv': _Layout(2, cv2.COLOR_YUV2BGR_YUY2, multiple_px=2),
    'nv12': _Layout(1, cv2.COLOR_YUV2BGR_NV12, rows_numerator=3, multiple_px=2),
    # ROS names the first two pixels of the first row, OpenCV those of the second one.
    'bayer_rggb8': _Layout(1, cv2.COLOR_BayerBG2BGR, multiple_px=2),
}
ENCODINGS = tuple(_LAYOUTS)


def to_bgr(data: Any, *, height_px: int, width_px: int, step: int, encoding: str) -> ImageArray:
    """View or convert raw image bytes as uint8 (height_px, width_px, 3) BGR.

    A bgr8 image without padding is not copied.

    :param data: any buffer of bytes.
    :param step: bytes from one row to the next, padding included.
    :raises ImageFormatError: naming what is wrong with the size, step, length or encoding.
    """
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        raise ImageFormatError(f'encoding = {encoding!r} is unknown; known: {", ".join(ENCODINGS)}')
    if height_px < 1 or width_px < 1:
        raise ImageFormatError(f'size = {width_px}x{height_px} is empty; allowed: 1x1 px or more')
    if height_px % layout.multiple_px or width_px % layout.multiple_px:
        raise ImageFormatError(
            f'size = {width_px}x{height_px} is odd; {encoding} needs even width and height'
        )
    row_bytes = width_px * layout.channels
    if step < row_bytes:
        raise ImageFormatError(
            f'step = {step} is too small; a row of {width_px} px {encoding} has {row_bytes} bytes'
        )
    rows = layout.rows(height_px)
    buffer = np.frombuffer(data, np.uint8)
    if buffer.size < step * (rows - 1) + row_bytes:
        raise ImageFormatError(
            f'data has {buffer.size} bytes; {rows} rows with step = {step} need {step * rows}'
        )
    pixels = np.lib.stride_tricks.as_strided(
        buffer, (rows, width_px, layout.channels), (step, layout.channels, 1)
    )
    if layout.conversion is None:
        return pixels
    source = np.ascontiguousarray(pixels[:, :, 0] if layout.channels == 1 else pixels)
    return np.asarray(cv2.cvtColor(source, layout.conversion), np.uint8)
