"""What lens, sensor and weather do to a picture."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import numpy.typing as npt

from visionscaling_ros.datatypes import ImageArray

NOISE_SHIFTS_PX = 128


@functools.lru_cache(maxsize=4)
def _grain(width_px: int, height_px: int) -> npt.NDArray[np.float32]:
    """Noise of deviation 1, larger than the picture, so that every cut-out of it differs."""
    shape = (height_px + NOISE_SHIFTS_PX, width_px + NOISE_SHIFTS_PX)
    return np.random.default_rng(0).normal(0.0, 1.0, shape).astype(np.float32)


class CameraEffects:
    """One camera in one light: exposure, colour cast, haze, softness and noise."""

    def __init__(self, rng: np.random.Generator, width_px: int, height_px: int) -> None:
        night = rng.random() < 0.12
        gain = rng.uniform(0.35, 0.6) if night else rng.uniform(0.7, 1.25)
        cast = rng.normal(1.0, 0.06, 3)
        haze = rng.uniform(0.0, 0.35) if rng.random() < 0.3 else 0.0
        levels = np.linspace(0.0, 1.0, 256) ** rng.uniform(0.75, 1.35)
        table = levels[:, None] * gain * cast[None, :]
        table = table * (1.0 - haze) + haze * rng.uniform(0.6, 0.85)
        self._table = np.clip(table * 255.0, 0, 255).astype(np.uint8)[:, None, :]
        self._blur_px = rng.uniform(0.5, 1.6) * width_px / 640.0 if rng.random() < 0.4 else 0.0
        sigma = rng.uniform(4.0, 14.0) if night or rng.random() < 0.3 else rng.uniform(0.5, 4.0)
        noise = cv2.multiply(_grain(width_px, height_px), sigma)
        self._noise = cv2.add(noise, 128.0, dtype=cv2.CV_8U)
        self._start = int(rng.integers(2**20))
        self._size_px = (width_px, height_px)

    def apply(self, image: ImageArray, index: int = 0) -> ImageArray:
        """The picture as this camera takes it; ``index`` moves the noise from frame to frame."""
        width_px, height_px = self._size_px
        if self._blur_px > 0.3:
            image = cv2.GaussianBlur(image, (0, 0), self._blur_px)
        image = cv2.LUT(image, self._table)
        shift = self._start + index
        left, top = shift * 37 % NOISE_SHIFTS_PX, shift * 53 % NOISE_SHIFTS_PX
        noise = self._noise[top : top + height_px, left : left + width_px]
        noisy: ImageArray = cv2.addWeighted(image, 1.0, cv2.merge([noise] * 3), 1.0, -128.0)
        return noisy
