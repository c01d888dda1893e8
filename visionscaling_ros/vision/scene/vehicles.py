"""Cars and trucks as seen from the side and from the ends."""

from __future__ import annotations

import cv2
import numpy as np

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.vision.scene import palette
from visionscaling_ros.vision.scene.class_names import CLASS_NAMES
from visionscaling_ros.vision.scene.sprite import Brush, Color, Sprite

CAR, TRUCK = CLASS_NAMES.index('car'), CLASS_NAMES.index('truck')
PX_PER_M = 52.0
TYRE: Color = (28.0, 28.0, 30.0)


def _glass(rng: np.random.Generator) -> Color:
    return palette.varied(rng, (75, 65, 55) if rng.random() < 0.7 else (150, 140, 130), 12)


def _wheel(brush: Brush, rng: np.random.Generator, x_m: float, radius_m: float) -> None:
    brush.ellipse((x_m, radius_m), (radius_m, radius_m), TYRE)
    hub = palette.varied(rng, (150, 150, 150), 25)
    brush.ellipse((x_m, radius_m), (radius_m * 0.58, radius_m * 0.58), hub)
    brush.ellipse((x_m, radius_m), (radius_m * 0.2, radius_m * 0.2), palette.shaded(hub, 0.6))


def sheen(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Light from above and uneven dirt, so that no surface is flat."""
    height_px, width_px = image.shape[:2]
    light = np.linspace(rng.uniform(1.0, 1.25), rng.uniform(0.65, 0.95), height_px)[:, None]
    blotches = cv2.resize(rng.normal(1.0, 0.06, (5, 7)).astype(np.float32), (width_px, height_px))
    shaded = image.astype(np.float32)
    shaded[..., :3] *= (light * blotches)[..., None]
    return np.clip(shaded, 0, 255).astype(np.uint8)


def car_side(rng: np.random.Generator) -> Sprite:
    """A car driving to the right."""
    length, height = rng.uniform(3.5, 4.9), rng.uniform(1.38, 1.8)
    body = palette.paint(rng)
    belt, rear = height * rng.uniform(0.55, 0.62), rng.choice([0.01, 0.04, 0.16])
    roof_rear, roof_front = rear + rng.uniform(0.05, 0.13), rng.uniform(0.5, 0.64)
    front = roof_front + rng.uniform(0.1, 0.2)
    brush = Brush(length, height, PX_PER_M)
    low = rng.uniform(0.18, 0.3)

    def at(x: float, y: float) -> tuple[float, float]:
        return x * length, y

    brush.polygon(
        [
            at(0.0, low), at(0.0, belt * 0.8), at(0.02, belt), at(rear, belt),
            at(roof_rear, height * 0.97), at((roof_rear + roof_front) / 2, height),
            at(roof_front, height * 0.97), at(front, belt), at(0.95, belt * 0.9),
            at(1.0, belt * 0.7), at(1.0, low),
        ],
        body,
    )  # fmt: skip
    glass, top = _glass(rng), height * 0.92
    middle = rng.uniform(0.36, 0.44)
    brush.polygon(
        [at(rear + 0.05, belt), at(roof_rear + 0.02, top), at(middle, top), at(middle, belt)], glass
    )
    brush.polygon(
        [at(middle + 0.02, belt), at(middle + 0.02, top), at(roof_front - 0.01, top),
         at(front - 0.04, belt)],
        glass,
    )  # fmt: skip
    brush.line([at(middle + 0.01, belt), at(middle + 0.01, low)], 0.025, palette.shaded(body, 0.6))
    brush.box(0.0, low, length, low + 0.1, palette.shaded(body, 0.45))
    brush.box(0.0, belt * 0.78, length * 0.03, belt * 0.95, (40, 40, rng.uniform(120, 220)))
    brush.box(length * 0.965, belt * 0.68, length, belt * 0.82, (200, 225, 235))
    radius = rng.uniform(0.29, 0.36)
    for x in (rng.uniform(0.16, 0.21), rng.uniform(0.78, 0.84)):
        brush.ellipse(at(x, radius), (radius * 1.15, radius * 1.15), palette.shaded(body, 0.35))
        _wheel(brush, rng, x * length, radius)
    return Sprite(sheen(rng, brush.image()), CAR, length, height)


def truck_side(rng: np.random.Generator) -> Sprite:
    """A lorry, van or bus driving to the right."""
    length, height = rng.uniform(5.5, 10.5), rng.uniform(2.5, 3.7)
    cab, cargo = palette.paint(rng), palette.varied(rng, palette.paint(rng), 20)
    brush = Brush(length, height, PX_PER_M * 0.7)
    split = length - rng.uniform(1.5, 2.2)
    low, glass = rng.uniform(0.5, 0.75), _glass(rng)
    if rng.random() < 0.3:  # bus: one body, a row of windows
        split = 0.0
        brush.box(0.0, low * 0.6, length, height, cab)
        pane = rng.uniform(0.9, 1.5)
        for left in np.arange(0.3, length - pane, pane):
            brush.box(left, height * 0.5, left + pane * 0.85, height * 0.83, glass)
        brush.box(0.0, low * 0.6, length, low * 0.9, palette.shaded(cab, 0.6))
    else:
        top = height * rng.uniform(0.72, 1.0)
        brush.box(0.0, low, split - 0.15, height, cargo)
        brush.box(0.0, low - 0.15, length - 0.1, low, (45, 45, 48))
        for left in np.arange(0.5, split - 0.5, rng.uniform(0.6, 2.5)):
            brush.line([(left, low), (left, height)], 0.03, palette.shaded(cargo, 0.85))
        if rng.random() < 0.4:
            brush.box(split * 0.2, height * 0.55, split * 0.75, height * 0.8, palette.paint(rng))
        slope = rng.uniform(0.0, 0.5)
        brush.polygon(
            [(split, 0.4), (split, top), (length - slope, top), (length - 0.05, top * 0.55),
             (length, top * 0.45), (length, 0.4)],
            cab,
        )  # fmt: skip
        brush.polygon(
            [(split + 0.4, top * 0.58), (split + 0.4, top * 0.9),
             (length - slope - 0.05, top * 0.9), (length - 0.2, top * 0.58)],
            glass,
        )  # fmt: skip
    radius = rng.uniform(0.42, 0.52)
    wheels = [length * 0.12, length - 0.9] if length < 7 else [0.9, 2.0, length - 1.0]
    for x in wheels:
        brush.ellipse((x, radius), (radius * 1.15, radius * 1.15), (35, 35, 35))
        _wheel(brush, rng, x, radius)
    return Sprite(sheen(rng, brush.image()), TRUCK, length, height)


def vehicle_end(rng: np.random.Generator, class_id: int) -> Sprite:
    """A car or truck seen from the front or from behind."""
    is_car, is_front = class_id == CAR, rng.random() < 0.5
    width = rng.uniform(1.65, 1.95) if is_car else rng.uniform(2.1, 2.55)
    height = rng.uniform(1.38, 1.85) if is_car else rng.uniform(2.5, 3.7)
    body, glass = palette.paint(rng), _glass(rng)
    brush = Brush(width, height, PX_PER_M * (1.3 if is_car else 0.9))
    low = 0.22 if is_car else 0.45
    tyre = width * 0.13
    for left in (0.04 * width, 0.96 * width - tyre):
        brush.box(left, 0.0, left + tyre, low + 0.25, TYRE)
    belt = height * (rng.uniform(0.52, 0.6) if is_car else rng.uniform(0.4, 0.5))
    inset = width * (rng.uniform(0.08, 0.16) if is_car else rng.uniform(0.0, 0.03))
    brush.polygon(
        [(0.02 * width, low), (0.0, belt * 0.85), (0.03 * width, belt), (inset, height * 0.95),
         (inset * 1.6, height), (width - inset * 1.6, height), (width - inset, height * 0.95),
         (0.97 * width, belt), (width, belt * 0.85), (0.98 * width, low)],
        body,
    )  # fmt: skip
    if is_car or is_front or rng.random() < 0.3:
        top = height * (0.93 if is_car else rng.uniform(0.75, 0.93))
        brush.polygon(
            [(0.09 * width, belt), (inset * 1.4 + 0.02, top), (width - inset * 1.4 - 0.02, top),
             (0.91 * width, belt)],
            glass,
        )  # fmt: skip
    else:  # cargo doors
        brush.line([(width / 2, low), (width / 2, height)], 0.04, palette.shaded(body, 0.6))
    light: Color = (215, 230, 240) if is_front else (40, 40, rng.uniform(130, 230))
    lamp_y = belt * rng.uniform(0.62, 0.82)
    for left in (0.03 * width, 0.79 * width):
        brush.box(left, lamp_y - 0.07, left + 0.18 * width, lamp_y + 0.08, light)
    if is_front:
        brush.box(0.25 * width, lamp_y - 0.12, 0.75 * width, lamp_y + 0.06, (40, 40, 42))
    brush.box(0.02 * width, low, 0.98 * width, low + 0.15, palette.shaded(body, 0.5))
    brush.box(0.38 * width, low + 0.17, 0.62 * width, low + 0.28, (220, 225, 225))
    return Sprite(sheen(rng, brush.image()), class_id, width, height)


def vehicle_angled(rng: np.random.Generator, class_id: int) -> Sprite:
    """Side and end seen at once, from a corner."""
    side = car_side(rng) if class_id == CAR else truck_side(rng)
    end = vehicle_end(rng, class_id)
    turn = rng.uniform(0.3, 1.2)
    height, end_width = side.height_m, end.width_m * np.cos(turn)
    side_width = side.width_m * np.sin(turn)
    width = end_width + side_width
    scale = PX_PER_M * (1.0 if class_id == CAR else 0.7)
    size_px = (round(width * scale), round(height * scale))
    corner, tall = end_width / width * size_px[0], float(size_px[1])
    rise, drop = rng.uniform(0.05, 0.2) * tall, rng.uniform(0.0, 0.12) * tall
    end_rise = rise * end_width / side_width * 0.7
    joined = np.zeros((size_px[1], size_px[0], 4), np.uint8)
    # the far edges stand higher and are shorter
    quads = (
        (side, [(corner, 0), (size_px[0], drop), (size_px[0], tall - rise), (corner, tall)]),
        (end, [(0, drop), (corner, 0), (corner, tall), (0, max(tall - end_rise, tall * 0.75))]),
    )
    for part, quad in quads:
        image = part.scaled(max(8, size_px[0]), size_px[1])
        height_px, width_px = image.shape[:2]
        source = np.array([(0, 0), (width_px, 0), (width_px, height_px), (0, height_px)])
        matrix = cv2.getPerspectiveTransform(source.astype(np.float32), np.array(quad, np.float32))
        warped = cv2.warpPerspective(image, matrix, size_px, flags=cv2.INTER_AREA)
        joined = np.where(warped[..., 3:] >= 128, warped, joined)
    return Sprite(joined, class_id, width, height)
