"""Pedestrians and cyclists from eye height, in the phases of a step or a turn of the pedals."""

from __future__ import annotations

import math

import numpy as np

from visionscaling_ros.vision.scene import palette
from visionscaling_ros.vision.scene.class_names import CLASS_NAMES
from visionscaling_ros.vision.scene.sprite import Brush, Color, Sprite
from visionscaling_ros.vision.scene.vehicles import TYRE, sheen

PERSON, CYCLIST = CLASS_NAMES.index('person'), CLASS_NAMES.index('cyclist')
PX_PER_M = 90.0
PHASES = 4


def pedestrian(rng: np.random.Generator) -> tuple[Sprite, ...]:
    """One person in four phases of a step, walking to the right."""
    height, girth = rng.uniform(1.45, 1.95), rng.uniform(0.36, 0.5)
    top, trousers, face = palette.cloth(rng), palette.cloth(rng), palette.skin(rng)
    hair, bag = palette.cloth(rng), palette.cloth(rng)
    stride, has_bag, has_skirt = rng.uniform(0.1, 0.3), rng.random() < 0.3, rng.random() < 0.2
    light = rng.integers(2**32)
    sprites = []
    for phase in range(PHASES):
        swing = math.sin(2 * math.pi * (phase + 0.25) / PHASES) * stride
        width = 0.85
        middle, hip, neck = width / 2, height * 0.5, height * 0.84
        brush = Brush(width, height, PX_PER_M)
        for side in (-1.0, 1.0):
            foot = middle + side * swing + side * 0.05
            shade = palette.shaded(trousers, 0.8 if side < 0 else 1.0)
            brush.line([(middle + side * 0.07, hip), (foot, 0.08)], 0.14, shade)
            brush.line([(foot, 0.05), (foot + 0.1, 0.05)], 0.09, (35, 32, 30))
        if has_skirt:
            brush.polygon(
                [(middle - girth * 0.4, hip), (middle + girth * 0.4, hip),
                 (middle + girth * 0.65, hip * 0.5), (middle - girth * 0.65, hip * 0.5)],
                trousers,
            )  # fmt: skip
        brush.line(
            [(middle - 0.02, neck - 0.08), (middle - swing, hip * 1.02)], 0.1,
            palette.shaded(top, 0.75),
        )  # fmt: skip
        brush.polygon(
            [(middle - girth * 0.5, neck - 0.05), (middle - girth * 0.25, neck + 0.02),
             (middle + girth * 0.25, neck + 0.02), (middle + girth * 0.5, neck - 0.05),
             (middle + girth * 0.4, hip * 0.95), (middle - girth * 0.4, hip * 0.95)],
            top,
        )  # fmt: skip
        if has_bag:
            brush.ellipse((middle - girth * 0.5, height * 0.68), (0.13, 0.22), bag)
        arm = middle + swing
        brush.line(
            [(middle + 0.05, neck - 0.09), (arm, hip * 1.05)], 0.1, palette.shaded(top, 0.88)
        )
        brush.ellipse((arm, hip), (0.06, 0.06), face)
        brush.ellipse((middle + 0.02, height - 0.13), (0.1, 0.13), face)
        brush.ellipse((middle - 0.015, height - 0.09), (0.11, 0.1), hair)
        image = sheen(np.random.default_rng(light), brush.image())
        sprites.append(Sprite(image, PERSON, width, height))
    return tuple(sprites)


def _rider(
    brush: Brush, hip_m: tuple[float, float], hands_m: tuple[float, float], top_m: float,
    colors: tuple[Color, Color, Color],
) -> None:  # fmt: skip
    top, face, hair = colors
    shoulder = ((hip_m[0] * 0.45 + hands_m[0] * 0.55), top_m - 0.3)
    brush.line([hip_m, shoulder], 0.27, top)
    brush.line([shoulder, hands_m], 0.09, palette.shaded(top, 0.8))
    head = (shoulder[0] + 0.08, top_m - 0.13)
    brush.ellipse(head, (0.11, 0.13), face)
    brush.ellipse((head[0] - 0.01, head[1] + 0.05), (0.12, 0.09), hair)


def cyclist_side(rng: np.random.Generator) -> tuple[Sprite, ...]:
    """One cyclist in four phases of the pedals, riding to the right."""
    length, height, radius = rng.uniform(1.65, 1.85), rng.uniform(1.6, 1.85), 0.34
    frame, trousers = palette.paint(rng), palette.cloth(rng)
    colors = (palette.cloth(rng), palette.skin(rng), palette.cloth(rng))
    light = rng.integers(2**32)
    sprites = []
    for phase in range(PHASES):
        brush = Brush(length, height, PX_PER_M)
        rear, front, crank = (radius, radius), (length - radius, radius), (length * 0.45, 0.3)
        seat, bars = (length * 0.34, 0.92), (length * 0.7, 1.02)
        for hub in (rear, front):
            brush.ring(hub, radius - 0.03, 0.045, TYRE)
            brush.line([(hub[0] - radius * 0.8, hub[1]), (hub[0] + radius * 0.8, hub[1])],
                       0.012, (120, 120, 120))  # fmt: skip
        for line in ([rear, crank, seat, rear], [crank, bars, front], [seat, bars]):
            brush.line(line, 0.045, frame)
        turn = 2 * math.pi * phase / PHASES
        hip = (seat[0], seat[1] + 0.08)
        for side in (1.0, -1.0):
            reach = (side * 0.16 * math.cos(turn), side * 0.16 * math.sin(turn))
            pedal = (crank[0] + reach[0], crank[1] + reach[1])
            knee = ((hip[0] + pedal[0]) / 2 + 0.2, (hip[1] + pedal[1]) / 2 + 0.12)
            shade = palette.shaded(trousers, 0.75 if side > 0 else 1.0)
            brush.line([hip, knee, pedal], 0.13, shade)
            brush.ellipse(pedal, (0.1, 0.05), (30, 30, 30))
        _rider(brush, hip, bars, height, colors)
        image = sheen(np.random.default_rng(light), brush.image())
        sprites.append(Sprite(image, CYCLIST, length, height))
    return tuple(sprites)


def cyclist_end(rng: np.random.Generator) -> tuple[Sprite, ...]:
    """One cyclist seen from the front or from behind."""
    width, height = rng.uniform(0.55, 0.7), rng.uniform(1.6, 1.85)
    trousers, top = palette.cloth(rng), palette.cloth(rng)
    face, hair, frame = palette.skin(rng), palette.cloth(rng), palette.paint(rng)
    light = rng.integers(2**32)
    sprites = []
    for phase in range(PHASES):
        brush, middle = Brush(width, height, PX_PER_M), width / 2
        brush.line([(middle, 0.04), (middle, 0.65)], 0.06, TYRE)
        brush.line([(middle, 0.55), (middle, 0.95)], 0.05, frame)
        for side in (-1.0, 1.0):
            lift = 0.15 * math.sin(2 * math.pi * phase / PHASES) * side
            brush.line([(middle + side * 0.11, 0.92), (middle + side * 0.14, 0.32 + lift)],
                       0.13, trousers)  # fmt: skip
            brush.line([(middle + side * 0.18, height - 0.32), (middle + side * (width / 2 - 0.05),
                       1.0)], 0.09, palette.shaded(top, 0.85))  # fmt: skip
        brush.line([(0.03, 1.0), (width - 0.03, 1.0)], 0.04, (40, 40, 40))
        brush.polygon(
            [(middle - 0.22, height - 0.3), (middle - 0.1, height - 0.22),
             (middle + 0.1, height - 0.22), (middle + 0.22, height - 0.3), (middle + 0.17, 0.9),
             (middle - 0.17, 0.9)],
            top,
        )  # fmt: skip
        brush.ellipse((middle, height - 0.13), (0.1, 0.13), face)
        brush.ellipse((middle, height - 0.08), (0.11, 0.08), hair)
        image = sheen(np.random.default_rng(light), brush.image())
        sprites.append(Sprite(image, CYCLIST, width, height))
    return tuple(sprites)
