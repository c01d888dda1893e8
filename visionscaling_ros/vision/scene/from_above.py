"""Everything as a drone sees it, heading right."""

from __future__ import annotations

import numpy as np

from visionscaling_ros.vision.scene import palette
from visionscaling_ros.vision.scene.people import CYCLIST, PERSON
from visionscaling_ros.vision.scene.sprite import Brush, Sprite
from visionscaling_ros.vision.scene.vehicles import CAR, TRUCK, sheen

PX_PER_M = 36.0


def car_top(rng: np.random.Generator) -> Sprite:
    """A car from above."""
    length, width = rng.uniform(3.7, 5.0), rng.uniform(1.65, 1.95)
    body = palette.paint(rng)
    glass = palette.varied(rng, (60, 52, 45) if rng.random() < 0.7 else (150, 150, 135), 15)
    brush = Brush(length, width, PX_PER_M)
    edge = width * 0.12
    brush.polygon(
        [(0, edge * 1.5), (length * 0.05, 0), (length * 0.9, 0), (length, edge * 2),
         (length, width - edge * 2), (length * 0.9, width), (length * 0.05, width),
         (0, width - edge * 1.5)],
        body,
    )  # fmt: skip
    rear, front = length * rng.uniform(0.06, 0.22), length * rng.uniform(0.66, 0.74)
    brush.polygon(
        [(rear, edge * 1.2), (front, edge * 0.8), (front, width - edge * 0.8),
         (rear, width - edge * 1.2)],
        glass,
    )  # fmt: skip
    roof = palette.shaded(body, rng.uniform(0.95, 1.12))
    brush.box(rear + length * 0.1, edge * 1.5, front - length * 0.13, width - edge * 1.5, roof)
    if rng.random() < 0.3:  # sun roof
        left = front - length * rng.uniform(0.2, 0.27)
        brush.box(left, edge * 2.3, left + length * 0.11, width - edge * 2.3, glass)
    for y in (0.08, width - 0.28):
        brush.box(length * 0.96, y + 0.05, length, y + 0.2, (225, 235, 240))
        brush.box(0.0, y + 0.05, length * 0.03, y + 0.2, (40, 40, 170))
    for y in (-0.0, width - 0.12):
        brush.box(front - 0.1, y, front + 0.08, y + 0.12, palette.shaded(body, 0.7))
    return Sprite(sheen(rng, brush.image()), CAR, length, width)


def truck_top(rng: np.random.Generator) -> Sprite:
    """A lorry, van or bus from above."""
    length, width = rng.uniform(5.6, 11.5), rng.uniform(2.1, 2.6)
    cab, cargo = palette.paint(rng), palette.varied(rng, palette.paint(rng), 18)
    glass = palette.varied(rng, (60, 52, 45), 15)
    brush = Brush(length, width, PX_PER_M)
    if rng.random() < 0.4:  # van or bus: one body
        brush.box(0, 0, length, width, cab)
        brush.box(length * 0.94, 0.15, length * 0.98, width - 0.15, glass)
        for left in np.arange(length * 0.12, length * 0.8, rng.uniform(1.5, 3.0)):
            brush.box(left, width * 0.3, left + 0.8, width * 0.7, palette.shaded(cab, 0.85))
    else:
        split = length - rng.uniform(1.6, 2.2)
        brush.box(split, 0.08, length, width - 0.08, cab)
        brush.box(length - 0.55, 0.2, length - 0.2, width - 0.2, glass)
        brush.box(0, 0, split - rng.uniform(0.1, 0.5), width, cargo)
        for left in np.arange(0.5, split - 0.6, rng.uniform(0.8, 2.5)):
            brush.line([(left, 0.05), (left, width - 0.05)], 0.06, palette.shaded(cargo, 0.88))
    return Sprite(sheen(rng, brush.image()), TRUCK, length, width)


def person_top(rng: np.random.Generator) -> Sprite:
    """A pedestrian from above: shoulders, head and a foot."""
    brush = Brush(0.8, 0.8, PX_PER_M * 1.6)
    top = palette.cloth(rng)
    brush.ellipse((0.4 + rng.uniform(-0.18, 0.18), 0.32), (0.16, 0.08), palette.cloth(rng))
    brush.ellipse((0.4, 0.4), (0.16, 0.29), top)
    brush.ellipse((0.43, 0.4), (0.12, 0.12), palette.cloth(rng))
    return Sprite(sheen(rng, brush.image()), PERSON, 0.8, 0.8)


def cyclist_top(rng: np.random.Generator) -> Sprite:
    """A cyclist from above."""
    brush = Brush(1.8, 0.8, PX_PER_M * 1.4)
    brush.line([(0.05, 0.4), (1.75, 0.4)], 0.07, (35, 35, 35))
    brush.line([(1.3, 0.12), (1.3, 0.68)], 0.05, (50, 50, 50))
    top = palette.cloth(rng)
    for y in (0.15, 0.65):
        brush.line([(0.85, (y + 0.4) / 2 + (y - 0.4) * 0.3), (1.28, y)], 0.09, top)
    brush.ellipse((0.8, 0.4), (0.24, 0.27), top)
    brush.ellipse((0.98, 0.4), (0.13, 0.12), palette.cloth(rng))
    return Sprite(sheen(rng, brush.image()), CYCLIST, 1.8, 0.8)
