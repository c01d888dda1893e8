"""Surfaces that are not flat."""

from __future__ import annotations

import cv2
import numpy as np

from visionscaling_ros.datatypes import FloatArray, ImageArray


def cloudy(rng: np.random.Generator, width_px: int, height_px: int, cells: int) -> FloatArray:
    """Smooth noise (H, W), mean 0, deviation about 1, with ``cells`` blobs across."""
    rows = max(2, round(cells * height_px / width_px))
    coarse = rng.normal(0.0, 1.0, (rows, max(2, cells))).astype(np.float32)
    field: FloatArray = cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    return field


def roughen(rng: np.random.Generator, image: ImageArray, strength: float) -> ImageArray:
    """Blotches, stains and grain, so that no surface is flat."""
    height_px, width_px = image.shape[:2]
    gain = 1.0 + strength * (
        0.5 * cloudy(rng, width_px, height_px, 5)
        + 0.3 * cloudy(rng, width_px, height_px, 40)
        + 0.5 * rng.normal(0.0, 1.0, (height_px, width_px)).astype(np.float32)
    )
    rough: ImageArray = np.clip(image * gain[..., None], 0, 255).astype(np.uint8)
    return rough
