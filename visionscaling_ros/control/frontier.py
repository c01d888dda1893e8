"""The configurations worth mixing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from visionscaling_ros.control.projections import Vector

Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]


def envelope(use: Vector, value: Vector, usable: Flags) -> Indices:
    """Vertices of the upper concave envelope of ``value`` against ``use``, row by row.

    From the highest value to the least use, found by walking to the gentlest fall (gift wrapping):
    a few array operations per vertex, whatever the number of rows.

    :param use: shape (R, K).
    :param value: shape (R, K).
    :param usable: configurations that count, shape (R, K), K >= 1.
    :returns: configurations of the vertices, shape (R, V), the last one repeated; of no meaning
        in rows where none is usable.
    """
    rows = np.arange(len(use))
    masked = np.where(usable, value, -np.inf)
    highest = masked.max(axis=1)[:, None]
    current = np.where((masked >= highest) & usable, use, np.inf).argmin(axis=1)
    vertices = [current]
    while True:
        fall = value[rows, current][:, None] - value
        run = use[rows, current][:, None] - use
        ahead = (run > 0.0) & usable
        going = ahead.any(axis=1)
        if not going.any():
            break
        gentleness = np.full_like(fall, np.inf)
        np.divide(fall, run, out=gentleness, where=ahead)
        gentlest = gentleness.min(axis=1)[:, None]
        # Of several on one line the farthest, so that every vertex is one.
        best = np.where(ahead & (gentleness <= gentlest), run, -1.0).argmax(axis=1)
        current = np.where(going, best, current)
        vertices.append(current)
    return np.stack(vertices, axis=1)
