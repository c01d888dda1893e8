"""Boxes that a network gives relative to the sides of its input."""

from __future__ import annotations

import numpy as np

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.vision.decoders.decoder import Task


def to_pixels(boxes: FloatArray, unit: str, task: Task) -> FloatArray:
    """Boxes (N, 4) in ``pixels`` or ``relative`` (0 to 1) -> input pixels."""
    if unit == 'pixels':
        return boxes
    scaled: FloatArray = boxes * np.array([task.width_px, task.height_px] * 2, np.float32)
    return scaled
