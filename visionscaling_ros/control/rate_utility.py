"""How useful a processed frame rate is.

``U(P) = P / (P + h)`` with h = 0.74 frames/s: our fit (R^2 0.995) to the F1 score a video analytics
pipeline reached at 1, 2, 3, 5, 10, 15 and 30 processed frames/s, means over four real videos:
.50 .62 .69 .76 .81 .83 .83 (published measurements). A logarithm fits worse (R^2 0.89) and
``1 - exp(-P/p)`` too (0.92). Normalised so that the full rate counts 1.
"""

from __future__ import annotations

from visionscaling_ros.control.projections import Vector

HALF_RATE_FPS = 0.742  # half of what an endless rate is worth is reached here


def rate_utility(processed_fps: float, full_rate_fps: float) -> float:
    """``U(P) / U(full rate)``, concave and increasing in P [frames/s], 0 at 0 [-]."""
    return processed_fps / (processed_fps + HALF_RATE_FPS) / rate_utility_scale(full_rate_fps)


def rate_utility_slope(processed_fps: Vector, full_rate_fps: float) -> Vector:
    """Derivative of :func:`rate_utility` in P, any shape [s/frame]."""
    scale = rate_utility_scale(full_rate_fps)
    slope: Vector = HALF_RATE_FPS / (processed_fps + HALF_RATE_FPS) ** 2 / scale
    return slope


def rate_utility_scale(full_rate_fps: float) -> float:
    """``U(full rate)``, which counts as 1 [-]."""
    return full_rate_fps / (full_rate_fps + HALF_RATE_FPS)
