"""A street that moves: any frame of it on request, with the truth about what is in it."""

from __future__ import annotations

import numpy as np

from visionscaling_ros.datatypes import Detections, ImageArray
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.scene.camera_effects import CameraEffects
from visionscaling_ros.vision.scene.sprite_bank import sprite_bank
from visionscaling_ros.vision.scene.street import Street, paint_street
from visionscaling_ros.vision.scene.street_background import street_background
from visionscaling_ros.vision.scene.traffic import Traffic

VARIANTS = 16
MIN_SIDE_PX = 64


class StreetScene:
    """Frames of one street; the same seed, size, rate and index give the same frame.

    Raises InvalidValueError for a size under 64 px or a rate that is not positive.
    """

    def __init__(
        self, seed: int, width_px: int = 640, height_px: int = 480, fps: float = 30.0
    ) -> None:
        if seed < 0:
            raise InvalidValueError('seed', seed, '0 or more')
        if min(width_px, height_px) < MIN_SIDE_PX:
            raise InvalidValueError('size', f'{width_px}x{height_px}', f'{MIN_SIDE_PX} px or more')
        if not fps > 0:
            raise InvalidValueError('fps', fps, 'above 0')
        self.fps = fps
        rng = np.random.default_rng((seed, 1))
        self._street = Street.random(rng, width_px, height_px)
        self._background = street_background(rng, self._street)
        self._traffic = Traffic(rng, self._street)
        self._effects = CameraEffects(rng, width_px, height_px)
        self._bank = sprite_bank(seed, VARIANTS)

    def frame(self, index: int) -> tuple[ImageArray, Detections]:
        """Picture number ``index`` (0, 1, ...): uint8 (height, width, 3) BGR, and its truth."""
        objects = self._traffic.at(index / self.fps)
        painter = paint_street(self._background, self._street.camera, self._bank, objects)
        return self._effects.apply(painter.image, index), painter.truth()
