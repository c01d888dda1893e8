"""JPEG in and out, and the shrinking of frames that are sent to the edge."""

from __future__ import annotations

import cv2
import numpy as np

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.errors import ImageFormatError, InvalidValueError


def encode_jpeg(image_bgr: ImageArray, quality: int = 80) -> bytes:
    """JPEG of a uint8 (H, W, 3) BGR image; raises InvalidValueError for a quality not 1 to 100."""
    if not 1 <= quality <= 100:
        raise InvalidValueError('quality', quality, '1 to 100')
    ok, data = cv2.imencode('.jpg', image_bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ImageFormatError(f'an image of shape {image_bgr.shape} cannot be encoded as JPEG')
    return bytes(data)


def decode_jpeg(data: bytes | ImageArray) -> ImageArray:
    """BGR uint8 (H, W, 3) image of encoded bytes; raises ImageFormatError."""
    buffer = np.frombuffer(data, np.uint8)
    image = cv2.imdecode(buffer, cv2.IMREAD_COLOR) if buffer.size else None
    if image is None:
        raise ImageFormatError(f'{buffer.size} bytes are no image that can be decoded (JPEG, PNG)')
    return np.asarray(image, np.uint8)


def resize_for_upload(image_bgr: ImageArray, input_size_px: int) -> ImageArray:
    """The image shrunk so that its longer side is ``input_size_px``; never enlarged."""
    height_px, width_px = image_bgr.shape[:2]
    scale = input_size_px / max(height_px, width_px)
    if scale >= 1.0:
        return image_bgr
    size = max(1, round(width_px * scale)), max(1, round(height_px * scale))
    return np.asarray(cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA), np.uint8)
