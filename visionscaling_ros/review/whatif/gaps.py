"""Series with gaps."""

from __future__ import annotations

import numpy as np

from visionscaling_ros.review.whatif.slot_series import Series


def filled(values: Series, *, default: float) -> Series:
    """Gaps (not finite) on the line between their neighbours; before and after, as the nearest.

    :param default: where nothing is known at all.
    """
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(values), default)
    slots = np.arange(len(values))
    return np.asarray(np.interp(slots, slots[known], values[known]), np.float64)
