"""Boxes that a network gives by centre and size, in pixels or relative to its input."""

from __future__ import annotations

import numpy as np

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.vision.decoders.decoder import Task, corners

UNITS = ('pixels', 'relative')


def corners_px(boxes: FloatArray, unit: str, task: Task) -> FloatArray:
    """Centre x, y, width, height (N, 4) in one of ``UNITS`` -> corners (N, 4) in input pixels."""
    if unit == 'relative':
        boxes = boxes * np.array([task.width_px, task.height_px] * 2, np.float32)
    return corners(boxes[:, :2], boxes[:, 2:])
