"""The still part of a street: sky, houses, trees, pavements, road and its markings."""

from __future__ import annotations

import cv2
import numpy as np

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.vision.scene import palette
from visionscaling_ros.vision.scene.scenery import tree
from visionscaling_ros.vision.scene.sprite import Color
from visionscaling_ros.vision.scene.street import FARTHEST_M, LANE_M, Street
from visionscaling_ros.vision.scene.texture import cloudy, roughen

GROUNDS: tuple[Color, ...] = ((95, 130, 100), (150, 165, 175), (120, 120, 120), (110, 140, 160))
WALLS: tuple[Color, ...] = (
    (150, 165, 180), (120, 130, 165), (185, 190, 190), (110, 115, 120), (90, 105, 140),
)  # fmt: skip


def street_background(rng: np.random.Generator, street: Street) -> ImageArray:
    """BGR picture of the street without anything that moves."""
    camera = street.camera
    image = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    _sky(rng, image)
    _houses(rng, street, image)
    cv2.rectangle(
        image,
        (0, round(camera.horizon_px + 1)),
        (camera.width_px, camera.height_px),
        palette.varied(rng, GROUNDS[rng.integers(len(GROUNDS))]),
        -1,
    )
    _houses(rng, street, image, stands_m=street.road_far_m + rng.uniform(5.0, 15.0))
    _trees(rng, street, image)
    _ground(rng, street, image)
    return roughen(rng, image, rng.uniform(0.03, 0.09))


def _sky(rng: np.random.Generator, image: ImageArray) -> None:
    height_px, width_px = image.shape[:2]
    top = np.array(palette.varied(rng, (215, 170, 120) if rng.random() < 0.6 else (190, 185, 180)))
    fade = np.linspace(0.0, 0.35, height_px)[:, None, None]
    clouds = np.clip(cloudy(rng, width_px, height_px, 8), 0, 1)[..., None] * rng.uniform(0, 0.6)
    image[:] = (top * (1 - fade) + 245 * fade) * (1 - clouds) + 240 * clouds


def _houses(
    rng: np.random.Generator, street: Street, image: ImageArray, stands_m: float | None = None
) -> None:
    """A row of houses with windows; far ones pale, with ``stands_m`` on the far pavement."""
    camera = street.camera
    z_m = FARTHEST_M if stands_m is None else stands_m
    half_m = camera.half_width_m(z_m)
    scale = camera.focal_px / z_m
    left_m = -half_m - rng.uniform(0, 10)
    while left_m < half_m:
        width_m = rng.uniform(8, 22)
        gap = stands_m is not None and (
            rng.random() < 0.3 or abs(left_m + width_m / 2 - street.away_x_m) < width_m
        )
        if not gap:
            floors = int(rng.integers(2, 7))
            wall = palette.varied(rng, WALLS[rng.integers(len(WALLS))], 20)
            if stands_m is None:
                wall = palette.shaded(wall, 1.2)
            _facade(
                rng, image, foot_px=camera.foot_px(left_m, z_m), width_m=width_m, floors=floors,
                scale=scale, wall=wall,
            )  # fmt: skip
        left_m += width_m + rng.uniform(0.0, 4.0)


def _facade(
    rng: np.random.Generator, image: ImageArray, *, foot_px: tuple[float, float],
    width_m: float, floors: int, scale: float, wall: Color,
) -> None:  # fmt: skip
    x0, y1 = foot_px
    y0 = y1 - floors * 3.1 * scale
    cv2.rectangle(image, (round(x0), round(y0)), (round(x0 + width_m * scale), round(y1)), wall, -1)
    glass = palette.varied(rng, (95, 80, 65), 25)
    pitch_m, pane_m = rng.uniform(1.8, 3.5), rng.uniform(0.8, 1.6)
    for floor in range(floors):
        top = y1 - (floor + 0.85) * 3.1 * scale
        for left in np.arange(0.6, width_m - pane_m, pitch_m):
            color = glass if rng.random() < 0.85 else palette.shaded(glass, 1.8)
            corner = (round(x0 + left * scale), round(top))
            end = (round(x0 + (left + pane_m) * scale), round(top + 1.6 * scale))
            cv2.rectangle(image, corner, end, color, -1)
    if rng.random() < 0.4:  # shop front
        sign = palette.paint(rng)
        end = (round(x0 + (width_m - 0.5) * scale), round(y1 - 2.6 * scale))
        cv2.rectangle(image, (round(x0 + 0.5 * scale), round(y1 - 3.2 * scale)), end, sign, -1)


def _trees(rng: np.random.Generator, street: Street, image: ImageArray) -> None:
    camera = street.camera
    for _ in range(int(rng.integers(0, 7))):
        z_m = street.road_far_m + rng.uniform(2.5, 25.0)
        scale = camera.focal_px / z_m
        sprite = tree(rng)
        picture = sprite.scaled(
            max(4, round(sprite.width_m * scale)), max(4, round(sprite.height_m * scale))
        )
        x_px, y_px = camera.foot_px(rng.uniform(-1, 1) * camera.half_width_m(z_m), z_m)
        left, top = round(x_px - picture.shape[1] / 2), round(y_px - picture.shape[0])
        x0, y0 = max(0, left), max(0, top)
        x1 = min(camera.width_px, left + picture.shape[1])
        y1 = min(camera.height_px, top + picture.shape[0])
        if x0 < x1 and y0 < y1:
            part = picture[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.float32)
            image[y0:y1, x0:x1] = image[y0:y1, x0:x1] * (1 - part[..., 3:] / 255) + part[..., :3]


def _ground(rng: np.random.Generator, street: Street, image: ImageArray) -> None:
    camera = street.camera
    asphalt = palette.varied(rng, rng.choice([(85, 82, 80), (115, 112, 108), (65, 62, 62)]), 8)
    pavement = palette.varied(rng, (150, 155, 160), 20)
    mark = palette.varied(rng, (215, 220, 220), 12)
    wide_m = 200.0

    def flat(x0: float, z0: float, x1: float, z1: float, color: Color) -> None:
        z0, z1 = max(z0, 1.0), max(z1, 1.0)
        corners = [(x0, z0), (x1, z0), (x1, z1), (x0, z1)]
        points = np.clip([camera.foot_px(x, z) for x, z in corners], -20000, 20000)
        cv2.fillPoly(image, [np.round(points * 8).astype(np.int32)], color, cv2.LINE_AA, 3)

    near, far = street.road_near_m, street.road_far_m
    flat(-wide_m, near - rng.uniform(2.5, 4.0), wide_m, far + rng.uniform(2.5, 5.0), pavement)
    if street.away_lanes:
        half_m = street.away_lanes * LANE_M / 2
        x_m = street.away_x_m
        flat(x_m - half_m - 2.5, far, x_m + half_m + 2.5, FARTHEST_M * 2, pavement)
        flat(x_m - half_m, far - 1.0, x_m + half_m, FARTHEST_M * 2, asphalt)
        for z_m in np.arange(far + 2, FARTHEST_M, 6.0):
            flat(x_m - 0.08, z_m, x_m + 0.08, z_m + 3.0, mark)
    flat(-wide_m, near, wide_m, far, asphalt)
    for edge_m in (near, far):
        flat(-wide_m, edge_m - 0.12, wide_m, edge_m + 0.12, palette.shaded(pavement, 0.75))
    shift = rng.uniform(0, 5)
    for lane in range(1, street.lanes):
        z_m = near + lane * LANE_M
        for x_m in np.arange(-40, 40, 6.0) + shift:
            flat(x_m, z_m - 0.07, x_m + 3.0, z_m + 0.07, mark)
    if rng.random() < 0.5:  # crossing
        x0 = rng.uniform(-0.8, 0.8) * camera.half_width_m(near)
        for z_m in np.arange(near + 0.3, far - 0.3, 1.0):
            flat(x0, z_m, x0 + 3.0, z_m + 0.5, mark)
    if rng.random() < 0.3:  # more lanes in front of the near pavement
        flat(-wide_m, 1.0, wide_m, near - rng.uniform(4.5, 6.0), asphalt)
