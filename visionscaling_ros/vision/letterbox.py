"""Fits an image into a detector's input without distorting it, and maps boxes back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from visionscaling_ros.datatypes import Detections, FloatArray, ImageArray
from visionscaling_ros.errors import ImageFormatError, InvalidValueError

STRIDE_PX = 32
PADDING_VALUE = 114


@dataclass(frozen=True)
class Letterbox:
    """Geometry of a fitted image: input pixel = source pixel * scale, content at the top left."""

    source_width_px: int
    source_height_px: int
    width_px: int
    height_px: int
    scale_x: float
    scale_y: float

    def boxes_to_source(self, boxes_px: FloatArray) -> FloatArray:
        """Boxes (N, 4) in input pixels -> source pixels, clipped to the source image."""
        scale = np.array([self.scale_x, self.scale_y] * 2, np.float32)
        limit = np.array([self.source_width_px, self.source_height_px] * 2, np.float32)
        boxes: FloatArray = np.clip(boxes_px / scale, 0.0, limit).astype(np.float32)
        return boxes

    def boxes_to_input(self, boxes_px: FloatArray) -> FloatArray:
        """Boxes (N, 4) in source pixels -> input pixels."""
        scale = np.array([self.scale_x, self.scale_y] * 2, np.float32)
        return (boxes_px * scale).astype(np.float32)


def check_input_size(input_size_px: int) -> None:
    """Raise InvalidValueError unless ``input_size_px`` is a positive multiple of 32."""
    if input_size_px < STRIDE_PX or input_size_px % STRIDE_PX:
        raise InvalidValueError(
            'input_size_px', input_size_px, f'positive multiples of {STRIDE_PX}'
        )


def fitted_size_px(width_px: int, height_px: int, longer_side_px: int) -> tuple[int, int]:
    """(width, height) of an image scaled so that its longer side is ``longer_side_px``."""
    if width_px <= 0 or height_px <= 0:
        raise ImageFormatError(f'image is {width_px}x{height_px}; allowed: at least 1x1 pixels')
    scale = longer_side_px / max(width_px, height_px)
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def resize_image(image_bgr: ImageArray, width_px: int, height_px: int) -> ImageArray:
    """Image resized without aliasing; the same array when it already fits."""
    if image_bgr.shape[:2] == (height_px, width_px):
        return image_bgr
    shrinks = width_px * height_px < image_bgr.shape[0] * image_bgr.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized: ImageArray = cv2.resize(image_bgr, (width_px, height_px), interpolation=interpolation)
    return resized


def letterbox(image_bgr: ImageArray, input_size_px: int) -> tuple[ImageArray, Letterbox]:
    """Image (H, W, 3) -> padded copy whose longer side is ``input_size_px``, and its geometry.

    The shorter side is padded only to the next multiple of 32, not to a square: a 4:3 image at 320
    becomes 320x256, so no computation goes into padding.
    Raises InvalidValueError for a bad size and ImageFormatError for a bad image.
    """
    check_input_size(input_size_px)
    if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.dtype != np.uint8:
        raise ImageFormatError(
            f'image is {image_bgr.dtype}{image_bgr.shape}; allowed: uint8 (height, width, 3)'
        )
    source_height_px, source_width_px = image_bgr.shape[:2]
    inner_width_px, inner_height_px = fitted_size_px(
        source_width_px, source_height_px, input_size_px
    )
    width_px = -(-inner_width_px // STRIDE_PX) * STRIDE_PX
    height_px = -(-inner_height_px // STRIDE_PX) * STRIDE_PX
    padded = np.full((height_px, width_px, 3), PADDING_VALUE, np.uint8)
    padded[:inner_height_px, :inner_width_px] = resize_image(
        image_bgr, inner_width_px, inner_height_px
    )
    return padded, Letterbox(
        source_width_px=source_width_px,
        source_height_px=source_height_px,
        width_px=width_px,
        height_px=height_px,
        scale_x=inner_width_px / source_width_px,
        scale_y=inner_height_px / source_height_px,
    )


def scale_detections(
    detections: Detections, *, from_size_px: tuple[int, int], to_size_px: tuple[int, int]
) -> Detections:
    """Detections found in a resized image (width, height) -> pixels of another size of it."""
    scale_x, scale_y = to_size_px[0] / from_size_px[0], to_size_px[1] / from_size_px[1]
    scale = np.array([scale_x, scale_y] * 2, np.float32)
    return Detections(detections.boxes_px * scale, detections.scores, detections.class_ids)
