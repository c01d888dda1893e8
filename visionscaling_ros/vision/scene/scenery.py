"""Things that stand in a street, hide others and are not to be detected."""

from __future__ import annotations

import numpy as np

from visionscaling_ros.vision.scene import palette
from visionscaling_ros.vision.scene.sprite import Brush, Sprite
from visionscaling_ros.vision.scene.vehicles import sheen

NO_CLASS = -1


def pole(rng: np.random.Generator) -> Sprite:
    """A lamp post, a traffic sign or a traffic light."""
    height, thickness = rng.uniform(2.2, 5.5), rng.uniform(0.08, 0.2)
    brush, grey = Brush(1.0, height, 40.0), palette.varied(rng, (110, 110, 110), 30)
    brush.box(0.5 - thickness / 2, 0.0, 0.5 + thickness / 2, height, grey)
    kind = rng.integers(3)
    if kind == 0:
        brush.ellipse((0.5, height - 0.35), (0.32, 0.32), palette.paint(rng))
        brush.ellipse((0.5, height - 0.35), (0.23, 0.23), (235, 235, 235))
    elif kind == 1:
        brush.box(0.35, height - 0.9, 0.65, height, (40, 40, 40))
        brush.ellipse((0.5, height - rng.choice([0.18, 0.45, 0.72])), (0.1, 0.1), (60, 60, 230))
    else:
        brush.box(0.1, height - 0.15, 0.9, height - 0.03, palette.shaded(grey, 1.3))
    return Sprite(sheen(rng, brush.image()), NO_CLASS, 1.0, height)


def tree(rng: np.random.Generator) -> Sprite:
    """A trunk and a crown of many leaves."""
    height, spread = rng.uniform(3.0, 7.0), rng.uniform(2.0, 4.5)
    brush = Brush(spread, height, 28.0)
    trunk = rng.uniform(0.12, 0.3)
    brush.box(spread / 2 - trunk / 2, 0.0, spread / 2 + trunk / 2, height * 0.6, (45, 60, 75))
    green = palette.varied(rng, (45, 95, 60), 20)
    bottom = height * rng.uniform(0.3, 0.5)
    for _ in range(70):
        u, v = rng.normal(0, 0.35, 2)
        u, v = np.clip((u, v), -0.75, 0.75)
        center = (spread / 2 * (1 + u), (bottom + height) / 2 + (height - bottom) / 2 * v)
        radius = rng.uniform(0.06, 0.13) * spread
        brush.ellipse(center, (radius, radius * 0.8), palette.varied(rng, green, 14))
    return Sprite(sheen(rng, brush.image()), NO_CLASS, spread, height)


def street_box(rng: np.random.Generator) -> Sprite:
    """A bin, a bench, a hydrant, a letter box, a planter."""
    width, height = rng.uniform(0.4, 1.8), rng.uniform(0.5, 1.3)
    brush, color = Brush(width, height, 60.0), palette.paint(rng)
    if rng.random() < 0.35:
        for y in (0.45, 0.6, 0.85):
            brush.box(0.0, height * y, width, height * (y + 0.1), color)
        for x in (0.1, 0.85):
            brush.box(width * x, 0.0, width * (x + 0.05), height * 0.9, (50, 50, 50))
    else:
        brush.box(0.03, 0.0, width - 0.03, height * 0.9, color)
        brush.box(0.0, height * 0.85, width, height, palette.shaded(color, 0.7))
        brush.box(width * 0.25, height * 0.4, width * 0.75, height * 0.6, palette.paint(rng))
    return Sprite(sheen(rng, brush.image()), NO_CLASS, width, height)
