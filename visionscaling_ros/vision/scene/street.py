"""A street seen from eye height or from a mast: the camera, the ground and what stands on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.vision.scene.painter import Painter
from visionscaling_ros.vision.scene.scenery import NO_CLASS
from visionscaling_ros.vision.scene.sprite_bank import SpriteBank

FARTHEST_M = 90.0
LANE_M = 3.3


@dataclass(frozen=True)
class StreetCamera:
    """A pinhole camera that looks level down the street (x right, z away, metres)."""

    width_px: int
    height_px: int
    horizon_px: float
    focal_px: float
    mast_m: float

    def foot_px(self, x_m: float, z_m: float) -> tuple[float, float]:
        """Where a point of the ground appears."""
        scale = self.focal_px / z_m
        return self.width_px / 2 + x_m * scale, self.horizon_px + self.mast_m * scale

    def half_width_m(self, z_m: float) -> float:
        """Half of the ground's width in view at this distance."""
        return self.width_px / 2 * z_m / self.focal_px


@dataclass(frozen=True)
class Street:
    """A road across the view with pavements before and behind it, and one leading away."""

    camera: StreetCamera
    road_near_m: float
    lanes: int
    away_x_m: float
    away_lanes: int

    @property
    def road_far_m(self) -> float:
        """Distance of the far kerb."""
        return self.road_near_m + self.lanes * LANE_M

    @classmethod
    def random(cls, rng: np.random.Generator, width_px: int, height_px: int) -> Street:
        """Another corner of the town."""
        horizon_px = height_px * rng.uniform(0.22, 0.48)
        focal_px = width_px * rng.uniform(0.75, 1.3)
        mast_m = rng.uniform(1.5, 5.5)
        below_px = (height_px - horizon_px) * rng.uniform(0.5, 0.9)
        near_m = float(np.clip(focal_px * mast_m / below_px, 8.0, 22.0))
        return cls(
            camera=StreetCamera(width_px, height_px, horizon_px, focal_px, mast_m),
            road_near_m=near_m,
            lanes=int(rng.integers(2, 5)),
            away_x_m=float(rng.uniform(-0.5, 0.5) * near_m),
            away_lanes=int(rng.choice([0, 2, 2, 4])),
        )


@dataclass(frozen=True)
class Placed:
    """An object of the bank and where its foot stands."""

    kind: str
    variant: int
    x_m: float
    z_m: float
    mirrored: bool = False
    phase: int = 0


def _soft_ellipse() -> ImageArray:
    ellipse = np.zeros((32, 64), np.uint8)
    cv2.ellipse(ellipse, (32, 16), (27, 11), 0, 0, 360, 150, -1)
    soft: ImageArray = cv2.GaussianBlur(ellipse, (0, 0), 3)
    return soft


SHADOW = _soft_ellipse()


def paint_street(
    background: ImageArray, camera: StreetCamera, bank: SpriteBank, objects: Iterable[Placed]
) -> Painter:
    """Paste the objects on the background, far to near."""
    painter = Painter(background)
    for placed in sorted(objects, key=lambda o: -o.z_m):
        sprite = bank.sprite(
            placed.kind, placed.variant, mirrored=placed.mirrored, phase=placed.phase
        )
        scale = camera.focal_px / placed.z_m
        width_px, height_px = round(sprite.width_m * scale), round(sprite.height_m * scale)
        x_px, y_px = camera.foot_px(placed.x_m, placed.z_m)
        left_px, top_px = round(x_px - width_px / 2), round(y_px - height_px)
        if (
            min(width_px, height_px) < 3
            or left_px > camera.width_px
            or left_px + width_px < 0
            or top_px > camera.height_px
        ):
            continue
        shadow_px = max(3, round(0.55 * scale))
        if sprite.class_id != NO_CLASS:
            shadow = cv2.resize(SHADOW, (round(width_px * 1.2) + 1, shadow_px))
            painter.shade(shadow, round(left_px - width_px * 0.1), round(y_px - shadow_px * 0.6))
        painter.paste(
            sprite.scaled(width_px, height_px),
            left_px,
            top_px,
            None if sprite.class_id == NO_CLASS else sprite.class_id,
        )
    return painter
