"""The ground as a drone sees it from above, with traffic and people."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.vision.scene import palette
from visionscaling_ros.vision.scene.painter import Painter
from visionscaling_ros.vision.scene.sprite import Color, Sprite
from visionscaling_ros.vision.scene.sprite_bank import SpriteBank
from visionscaling_ros.vision.scene.texture import roughen

GROUNDS: tuple[Color, ...] = (
    (70, 105, 80), (150, 165, 175), (105, 105, 105), (110, 140, 160), (85, 85, 85), (60, 90, 85),
)  # fmt: skip
LANE_M = 3.4
Put = Callable[[str, float, float, float], None]  # kind, x [px], y [px], angle [deg]


def aerial_painter(
    rng: np.random.Generator, bank: SpriteBank, width_px: int, height_px: int
) -> Painter:
    """A random piece of town from above."""
    scale = float(np.exp(rng.uniform(math.log(5.0), math.log(55.0)))) * width_px / 640.0
    ground = palette.varied(rng, GROUNDS[rng.integers(len(GROUNDS))])
    image = np.full((height_px, width_px, 3), ground, np.uint8)
    _patches(rng, image, scale)
    roads = [_road(rng, image, scale) for _ in range(int(rng.choice([0, 1, 1, 2])))]
    painter = Painter(roughen(rng, image, rng.uniform(0.03, 0.1)))
    squash = rng.uniform(0.65, 1.0) if rng.random() < 0.5 else 1.0
    shadow = (rng.uniform(-0.8, 0.8), rng.uniform(-0.8, 0.8), rng.uniform(0.0, 0.6))

    def put(kind: str, x_px: float, y_px: float, angle_deg: float) -> None:
        sprite = bank.sprite(kind, int(rng.integers(4096)))
        picture = _turned(sprite, scale, angle_deg, squash)
        left, top = round(x_px - picture.shape[1] / 2), round(y_px - picture.shape[0] / 2)
        dark = (picture[..., 3] * shadow[2]).astype(np.uint8)
        painter.shade(dark, left + round(shadow[0] * scale), top + round(shadow[1] * scale))
        painter.paste(picture, left, top, sprite.class_id)

    for road in roads:
        _drive(rng, put, road, scale)
    area_m2 = width_px * height_px / scale**2
    if rng.random() < 0.4:
        start_px = (rng.uniform(0, width_px), rng.uniform(0, height_px))
        _park(rng, put, start_px, scale)
    for kind, per_m2, most in (
        ('person_top', 0.004, 12), ('cyclist_top', 0.0012, 4), ('car_top', 0.0015, 5),
        ('truck_top', 0.0006, 3),
    ):  # fmt: skip
        if kind == 'person_top' and scale < 8:
            continue
        for _ in range(min(most, rng.poisson(per_m2 * area_m2 + 0.4))):
            put(kind, rng.uniform(0, width_px), rng.uniform(0, height_px), rng.uniform(0, 360))
    return painter


def _turned(sprite: Sprite, scale: float, angle_deg: float, squash: float) -> ImageArray:
    """The sprite at ``scale`` px/m, turned counter-clockwise, then pressed flat by ``squash``."""
    width_px = max(3, round(sprite.width_m * scale))
    height_px = max(3, round(sprite.height_m * scale))
    picture = sprite.scaled(width_px, height_px)
    cosine = abs(math.cos(math.radians(angle_deg)))
    sine = abs(math.sin(math.radians(angle_deg)))
    full = (
        math.ceil(width_px * cosine + height_px * sine) + 2,
        math.ceil(width_px * sine + height_px * cosine) + 2,
    )
    matrix = cv2.getRotationMatrix2D((width_px / 2, height_px / 2), angle_deg, 1.0)
    matrix[:, 2] += ((full[0] - width_px) / 2, (full[1] - height_px) / 2)
    matrix[1] *= squash
    size = (full[0], math.ceil(full[1] * squash))
    turned: ImageArray = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR)
    return turned


def _patches(rng: np.random.Generator, image: ImageArray, scale: float) -> None:
    """Lawns, roofs and crowns."""
    height_px, width_px = image.shape[:2]
    for _ in range(int(rng.integers(0, 6))):
        center = (rng.uniform(0, width_px), rng.uniform(0, height_px))
        size = (rng.uniform(6, 30) * scale, rng.uniform(5, 18) * scale)
        corners = cv2.boxPoints((center, size, rng.uniform(0, 180)))
        color = palette.varied(rng, GROUNDS[rng.integers(len(GROUNDS))], 25)
        cv2.fillPoly(image, [corners.astype(np.int32)], color, cv2.LINE_AA)
        if rng.random() < 0.4:
            half = [tuple(corners[0]), tuple(corners[1]), center, tuple(corners[3])]
            cv2.fillPoly(image, [np.array(half, np.int32)], palette.shaded(color, 0.8), cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 12))):
        x, y = rng.uniform(0, width_px), rng.uniform(0, height_px)
        radius = rng.uniform(0.5, 3.0) * scale
        green = palette.varied(rng, (50, 90, 65), 18)
        for _ in range(25):
            blob = rng.normal(0, 0.45 * radius, 2)
            spot = (int(x + blob[0]), int(y + blob[1]))
            cv2.circle(image, spot, max(1, int(radius * rng.uniform(0.15, 0.35))),
                       palette.varied(rng, green, 14), -1)  # fmt: skip


def _road(
    rng: np.random.Generator, image: ImageArray, scale: float
) -> tuple[tuple[float, float], float, int, float]:
    """Draw a straight road with markings: (centre, angle, lanes, half length)."""
    height_px, width_px = image.shape[:2]
    center = (rng.uniform(0.2, 0.8) * width_px, rng.uniform(0.2, 0.8) * height_px)
    angle, lanes = rng.uniform(0, 360), int(rng.integers(2, 6))
    reach = math.hypot(width_px, height_px)
    along = np.array([math.cos(math.radians(angle)), -math.sin(math.radians(angle))])
    across = np.array([-along[1], along[0]])

    def band(
        from_m: float, to_m: float, color: Color, start: float = -1.0, end: float = 1.0
    ) -> None:
        corners = [
            np.array(center) + along * reach * a + across * o * scale
            for a, o in ((start, from_m), (end, from_m), (end, to_m), (start, to_m))
        ]
        points = np.round(np.array(corners) * 8).astype(np.int32)
        cv2.fillPoly(image, [points], color, cv2.LINE_AA, 3)

    half = lanes * LANE_M / 2
    asphalt = palette.varied(rng, (100, 98, 95), 22)
    mark = palette.varied(rng, (220, 222, 222), 15)
    pavement = palette.varied(rng, (150, 155, 160))
    band(-half - rng.uniform(1.5, 4), half + rng.uniform(1.5, 4), pavement)
    band(-half, half, asphalt)
    for lane in range(1, lanes):
        offset = -half + lane * LANE_M
        if lane == lanes // 2 and rng.random() < 0.5:
            band(offset - 0.08, offset + 0.08, mark)
            continue
        step = 7.0 * scale / reach
        for start in np.arange(-1.0, 1.0, max(step, 0.01)):
            band(offset - 0.07, offset + 0.07, mark, start, start + step * 0.45)
    return center, angle, lanes, reach


def _drive(
    rng: np.random.Generator, put: Put, road: tuple[tuple[float, float], float, int, float],
    scale: float,
) -> None:  # fmt: skip
    """Vehicles on the lanes of a road."""
    center_px, angle_deg, lanes, reach_px = road
    along = (math.cos(math.radians(angle_deg)), -math.sin(math.radians(angle_deg)))
    density = rng.uniform(0.1, 0.8)
    for lane in range(lanes):
        offset_px = (lane + 0.5 - lanes / 2) * LANE_M * scale
        turned = 0.0 if lane < lanes / 2 else 180.0
        for position_px in np.arange(-reach_px, reach_px, rng.uniform(8.0, 16.0) * scale):
            if rng.random() > density:
                continue
            at_px = position_px + rng.uniform(-1.0, 1.0) * scale
            kind = str(rng.choice(['car_top', 'truck_top', 'cyclist_top'], p=[0.72, 0.18, 0.1]))
            put(
                kind,
                center_px[0] + along[0] * at_px - along[1] * offset_px,
                center_px[1] + along[1] * at_px + along[0] * offset_px,
                angle_deg + turned + rng.normal(0, 3.0),
            )


def _park(rng: np.random.Generator, put: Put, start_px: tuple[float, float], scale: float) -> None:
    """A row of parked cars, side by side."""
    row_deg, pitch_px = rng.uniform(0, 360), 2.7 * scale
    step = (math.cos(math.radians(row_deg)) * pitch_px, -math.sin(math.radians(row_deg)) * pitch_px)
    for place in range(int(rng.integers(3, 12))):
        if rng.random() < 0.75:
            angle = row_deg + 90 + (180 if rng.random() < 0.5 else 0) + rng.normal(0, 3)
            put('car_top', start_px[0] + step[0] * place, start_px[1] + step[1] * place, angle)
