"""Fits an image into a detector's input without distorting it, and maps boxes back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from visionscaling_ros.datatypes import FloatArray, ImageArray
from visionscaling_ros.errors import ImageFormatError, InvalidValueError

STRIDE_PX = 32
PADDING_VALUE = 114  # grey, as training pads
# shrunk by more, an image that is only interpolated costs the detectors more than 0.01 mAP
SMOOTHED_FROM = 1.4


@dataclass(frozen=True)
class Letterbox:
    """Geometry of a fitted image: input pixel = source pixel * scale + offset."""

    source_width_px: int
    source_height_px: int
    width_px: int
    height_px: int
    scale_x: float
    scale_y: float
    offset_x_px: int = 0
    offset_y_px: int = 0

    @property
    def inner_size_px(self) -> tuple[int, int]:
        """(width, height) of the image inside the input."""
        return (
            round(self.source_width_px * self.scale_x),
            round(self.source_height_px * self.scale_y),
        )

    def boxes_to_source(self, boxes_px: FloatArray) -> FloatArray:
        """Boxes (N, 4) in input pixels -> source pixels, clipped to the source image."""
        limit = np.array([self.source_width_px, self.source_height_px] * 2, np.float32)
        offset_px = np.array([self.offset_x_px, self.offset_y_px] * 2, np.float32)
        boxes: FloatArray = np.subtract(boxes_px, offset_px, dtype=np.float32)
        boxes /= np.array([self.scale_x, self.scale_y] * 2, np.float32)
        np.clip(boxes, 0.0, limit, out=boxes)
        return boxes


def padded_side_px(side_px: int) -> int:
    """The next multiple of 32."""
    return -(-side_px // STRIDE_PX) * STRIDE_PX


def check_input_size(input_size_px: int) -> None:
    """Raise InvalidValueError unless ``input_size_px`` is a positive multiple of 32."""
    if input_size_px < STRIDE_PX or input_size_px % STRIDE_PX:
        raise InvalidValueError(
            'input_size_px', input_size_px, f'positive multiples of {STRIDE_PX}'
        )


def check_image(image_bgr: ImageArray) -> None:
    """Raise ImageFormatError unless it is a uint8 (H, W, 3) image with pixels."""
    if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.dtype != np.uint8:
        raise ImageFormatError(
            f'image is {image_bgr.dtype}{image_bgr.shape}; allowed: uint8 (height, width, 3)'
        )
    if image_bgr.size == 0:
        raise ImageFormatError(f'image is {image_bgr.shape}; allowed: at least 1x1 pixels')


def fitted_size_px(width_px: int, height_px: int, longer_side_px: int) -> tuple[int, int]:
    """(width, height) of an image scaled so that its longer side is ``longer_side_px``."""
    if width_px <= 0 or height_px <= 0:
        raise ImageFormatError(f'image is {width_px}x{height_px}; allowed: at least 1x1 pixels')
    scale = longer_side_px / max(width_px, height_px)
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def fit(
    width_px: int,
    height_px: int,
    input_size_px: int,
    *,
    square: bool = False,
    centered: bool = False,
) -> Letterbox:
    """How an image of this size lies in an input whose longer side is ``input_size_px``.

    The shorter side is padded only to the next multiple of 32 unless ``square``: a 4:3 image at
    320 becomes 320x256, so no computation goes into padding. The image lies at the top left, or
    in the middle if ``centered``.

    :raises InvalidValueError: a size that is no multiple of 32.
    :raises ImageFormatError: an image without pixels.
    """
    check_input_size(input_size_px)
    inner_width_px, inner_height_px = fitted_size_px(width_px, height_px, input_size_px)
    full_width_px = full_height_px = input_size_px
    if not square:
        full_width_px = padded_side_px(inner_width_px)
        full_height_px = padded_side_px(inner_height_px)
    return Letterbox(
        source_width_px=width_px,
        source_height_px=height_px,
        width_px=full_width_px,
        height_px=full_height_px,
        scale_x=inner_width_px / width_px,
        scale_y=inner_height_px / height_px,
        offset_x_px=(full_width_px - inner_width_px) // 2 if centered else 0,
        offset_y_px=(full_height_px - inner_height_px) // 2 if centered else 0,
    )


def resize_image(image_bgr: ImageArray, width_px: int, height_px: int) -> ImageArray:
    """Image resized without aliasing; the same array when it already fits."""
    if image_bgr.shape[:2] == (height_px, width_px):
        return image_bgr
    resized: ImageArray = np.empty((height_px, width_px, 3), np.uint8)
    resize_into(image_bgr, resized)
    return resized


def resize_into(image_bgr: ImageArray, target_bgr: ImageArray) -> None:
    """Resize without aliasing into an array that is there already.

    Averaging over areas is quick only where it halves both sides, so the image is halved as often
    as it goes; what is left, less than a half, is interpolated, after smoothing if it is much.
    """
    target_px = (target_bgr.shape[1], target_bgr.shape[0])
    while True:
        height_px, width_px = image_bgr.shape[:2]
        half_px = (width_px // 2, height_px // 2)
        even = width_px % 2 == 0 and height_px % 2 == 0
        if not even or half_px[0] < target_px[0] or half_px[1] < target_px[1]:
            break
        if half_px == target_px:
            cv2.resize(image_bgr, half_px, dst=target_bgr, interpolation=cv2.INTER_AREA)
            return
        image_bgr = cv2.resize(image_bgr, half_px, interpolation=cv2.INTER_AREA)
    if (width_px, height_px) == target_px:
        np.copyto(target_bgr, image_bgr)
        return
    shrinks = min(width_px / target_px[0], height_px / target_px[1])
    if shrinks >= 2.0:
        cv2.resize(image_bgr, target_px, dst=target_bgr, interpolation=cv2.INTER_AREA)
        return
    if shrinks >= SMOOTHED_FROM:
        image_bgr = cv2.GaussianBlur(image_bgr, (3, 3), 0)
    cv2.resize(image_bgr, target_px, dst=target_bgr, interpolation=cv2.INTER_LINEAR)
