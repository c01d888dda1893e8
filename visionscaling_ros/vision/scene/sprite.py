"""A drawn object: colour, opacity and size in metres, quick to paste at any scale."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from visionscaling_ros.datatypes import ImageArray

Color = tuple[float, float, float]
SUPERSAMPLING = 2
SOLID = 128  # opacity from which a pixel belongs to the object (shadows stay below)


class Brush:
    """Draws shapes in metres (x right, y up from the ground) on a transparent canvas."""

    def __init__(self, width_m: float, height_m: float, px_per_m: float) -> None:
        self._scale = px_per_m * SUPERSAMPLING
        self.size_px = (round(width_m * px_per_m), round(height_m * px_per_m))
        shape = (self.size_px[1] * SUPERSAMPLING, self.size_px[0] * SUPERSAMPLING)
        self._bgr = np.zeros((*shape, 3), np.uint8)
        self._alpha = np.zeros(shape, np.uint8)

    def _points(self, points_m: Sequence[tuple[float, float]]) -> npt.NDArray[np.int32]:
        points = np.asarray(points_m, np.float64) * self._scale
        points[:, 1] = self._alpha.shape[0] - points[:, 1]
        return np.round(points).astype(np.int32)

    def polygon(self, points_m: Sequence[tuple[float, float]], color: Color) -> None:
        """Filled polygon."""
        points = self._points(points_m)
        cv2.fillPoly(self._bgr, [points], color)
        cv2.fillPoly(self._alpha, [points], 255)

    def box(self, x0_m: float, y0_m: float, x1_m: float, y1_m: float, color: Color) -> None:
        """Filled upright rectangle."""
        self.polygon([(x0_m, y0_m), (x1_m, y0_m), (x1_m, y1_m), (x0_m, y1_m)], color)

    def ellipse(
        self,
        center_m: tuple[float, float],
        radii_m: tuple[float, float],
        color: Color,
        angle_deg: float = 0.0,
    ) -> None:
        """Filled ellipse."""
        center = tuple(int(v) for v in self._points([center_m])[0])
        radii = tuple(max(1, round(r * self._scale)) for r in radii_m)
        cv2.ellipse(self._bgr, center, radii, angle_deg, 0, 360, color, -1)
        cv2.ellipse(self._alpha, center, radii, angle_deg, 0, 360, 255, -1)

    def ring(
        self, center_m: tuple[float, float], radius_m: float, width_m: float, color: Color
    ) -> None:
        """Circle line."""
        center = tuple(int(v) for v in self._points([center_m])[0])
        radius, width = round(radius_m * self._scale), max(1, round(width_m * self._scale))
        cv2.circle(self._bgr, center, radius, color, width)
        cv2.circle(self._alpha, center, radius, 255, width)

    def line(self, points_m: Sequence[tuple[float, float]], width_m: float, color: Color) -> None:
        """Line through points, with round ends."""
        points, width = self._points(points_m), max(1, round(width_m * self._scale))
        cv2.polylines(self._bgr, [points], False, color, width)
        cv2.polylines(self._alpha, [points], False, 255, width)

    def image(self) -> ImageArray:
        """What was drawn: BGRA, not premultiplied."""
        bgra = np.dstack([self._bgr, self._alpha]).astype(np.float32)
        bgra[..., :3] *= bgra[..., 3:] / 255.0
        small = cv2.resize(bgra, self.size_px, interpolation=cv2.INTER_AREA)
        small[..., :3] *= 255.0 / np.maximum(small[..., 3:], 1.0)
        picture: ImageArray = np.clip(small, 0, 255).astype(np.uint8)
        return picture


class Sprite:
    """An object's picture with its class and size; halved copies make small pastes clean and fast.

    image: BGRA (H, W, 4). width_m, height_m: what the whole picture covers.
    """

    def __init__(self, image: ImageArray, class_id: int, width_m: float, height_m: float) -> None:
        self.class_id = class_id
        self.width_m = width_m
        self.height_m = height_m
        premultiplied = image.copy()
        opacity = image[..., 3:].astype(np.uint16)
        premultiplied[..., :3] = (image[..., :3] * opacity // 255).astype(np.uint8)
        self._levels = [premultiplied]
        while min(self._levels[-1].shape[:2]) > 12:
            self._levels.append(
                cv2.resize(self._levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            )

    def scaled(self, width_px: int, height_px: int) -> ImageArray:
        """Premultiplied BGRA at this size."""
        level = self._levels[0]
        for smaller in self._levels[1:]:
            if smaller.shape[0] < height_px or smaller.shape[1] < width_px:
                break
            level = smaller
        scaled: ImageArray = cv2.resize(level, (width_px, height_px))
        return scaled

    def mirrored(self) -> Sprite:
        """The same object facing the other way."""
        twin = object.__new__(Sprite)
        twin.class_id, twin.width_m, twin.height_m = self.class_id, self.width_m, self.height_m
        twin._levels = [np.ascontiguousarray(level[:, ::-1]) for level in self._levels]
        return twin
