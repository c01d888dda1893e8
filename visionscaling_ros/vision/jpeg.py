"""Images for the radio: shrunk to what the detector will see, and compressed."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.errors import ImageFormatError, InvalidValueError
from visionscaling_ros.vision.image_header import encoded_size_px
from visionscaling_ros.vision.letterbox import (
    check_image,
    check_input_size,
    fitted_size_px,
    resize_image,
)

# Twice the pixels of 8K video, 200 MB when decoded.
MAX_PIXELS = 1 << 26


def resize_for_upload(image_bgr: ImageArray, input_size_px: int) -> ImageArray:
    """Image (H, W, 3) with its longer side at ``input_size_px``, not padded, never enlarged.

    Raises InvalidValueError for a size that is no positive multiple of 32.
    """
    check_input_size(input_size_px)
    height_px, width_px = image_bgr.shape[:2]
    size = fitted_size_px(width_px, height_px, input_size_px)
    if max(width_px, height_px) <= input_size_px:
        return image_bgr  # the receiver enlarges; sending more pixels would say nothing more
    return resize_image(image_bgr, *size)


def encode_jpeg(image_bgr: ImageArray, quality: int = 80) -> bytes:
    """uint8 (H, W, 3) -> JPEG file. Raises InvalidValueError, ImageFormatError."""
    if not 1 <= quality <= 100:
        raise InvalidValueError('quality', quality, '1 to 100')
    check_image(image_bgr)
    ok, data = cv2.imencode('.jpg', image_bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ImageFormatError(f'image {image_bgr.shape} could not be encoded as JPEG')
    return bytes(data)


def decode_jpeg(
    data: bytes | bytearray | memoryview | npt.NDArray[np.uint8], max_pixels: int = MAX_PIXELS
) -> ImageArray:
    """JPEG or PNG file -> uint8 (H, W, 3) BGR, upright.

    Its header is read first: nothing is decoded of an image larger than ``max_pixels``, nor of any
    other format. Raises ImageFormatError.
    """
    data = bytes(data)
    check_pixels(*encoded_size_px(data), max_pixels)
    return decode_image(data)


def decode_image(data: bytes) -> ImageArray:
    """Image file of any format OpenCV reads -> uint8 (H, W, 3) BGR; for files that are trusted.

    Raises ImageFormatError when it is none.
    """
    image: ImageArray | None = None
    if data:
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:
            image = None  # some broken headers raise instead
    if image is None:
        raise ImageFormatError(f'{len(data)} bytes are no image; allowed: a whole JPEG or PNG')
    return image


def check_pixels(width_px: int, height_px: int, max_pixels: int) -> None:
    """Raise ImageFormatError for an image without pixels or with more than ``max_pixels``."""
    if not 0 < width_px * height_px <= max_pixels:
        raise ImageFormatError(
            f'image is {width_px}x{height_px} pixels; allowed: 1 to {max_pixels} in all'
        )
