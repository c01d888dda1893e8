"""Colours of the street (BGR, 0 to 255)."""

from __future__ import annotations

import numpy as np

from visionscaling_ros.vision.scene.sprite import Color

PAINTS: tuple[Color, ...] = (
    (235, 235, 235),
    (200, 200, 200),
    (150, 150, 155),
    (95, 95, 100),
    (35, 35, 38),
    (40, 40, 175),
    (120, 60, 30),
    (170, 100, 40),
    (60, 95, 50),
    (70, 140, 200),
    (40, 180, 215),
    (90, 70, 110),
)
PAINT_SHARES = np.array([18, 12, 12, 12, 14, 9, 7, 6, 3, 3, 2, 2], float) / 100.0
SKINS: tuple[Color, ...] = ((150, 180, 225), (120, 150, 200), (75, 105, 155), (45, 65, 100))


def varied(rng: np.random.Generator, color: Color, spread: float = 14.0) -> Color:
    """The colour, a little off: more in brightness than in hue."""
    off = rng.normal(0, spread) + rng.normal(0, spread * 0.5, 3)
    return tuple(float(v) for v in np.clip(np.add(color, off), 4, 251))  # type: ignore[return-value]


def shaded(color: Color, gain: float) -> Color:
    """The colour, brighter or darker."""
    return tuple(float(min(255.0, v * gain)) for v in color)  # type: ignore[return-value]


def paint(rng: np.random.Generator) -> Color:
    """What cars wear."""
    return varied(rng, PAINTS[rng.choice(len(PAINTS), p=PAINT_SHARES)], 10.0)


def cloth(rng: np.random.Generator) -> Color:
    """What people wear: anything, more often dark."""
    brightness = rng.choice([45.0, 90.0, 150.0, 215.0], p=[0.4, 0.25, 0.2, 0.15])
    tint = rng.normal(0, 35.0, 3)
    return tuple(float(v) for v in np.clip(brightness + tint, 8, 250))  # type: ignore[return-value]


def skin(rng: np.random.Generator) -> Color:
    """Faces and hands."""
    return varied(rng, SKINS[rng.integers(len(SKINS))], 8.0)
