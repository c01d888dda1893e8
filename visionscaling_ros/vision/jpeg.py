"""Images for the radio: shrunk to what the detector will see, and compressed."""

from __future__ import annotations

import cv2
import numpy as np

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.errors import ImageFormatError, InvalidValueError
from visionscaling_ros.vision.letterbox import (
    check_image,
    check_input_size,
    fitted_size_px,
    resize_image,
)


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


def decode_jpeg(data: bytes | bytearray | memoryview) -> ImageArray:
    """JPEG (or PNG) file -> uint8 (H, W, 3) BGR. Raises ImageFormatError when it is none."""
    buffer = np.frombuffer(data, np.uint8)
    image: ImageArray | None = None
    if len(buffer):
        try:
            image = cv2.imdecode(buffer, cv2.IMREAD_COLOR)
        except cv2.error:
            image = None  # some broken headers raise instead
    if image is None:
        raise ImageFormatError(f'{len(buffer)} bytes are no image; allowed: a whole JPEG or PNG')
    return image
