"""Keeps one freak measurement from throwing an estimate, yet lets a real step through."""

from __future__ import annotations


class OutlierGate:
    """Clips a residual that is far off; a second one in a row to the same side is believed."""

    def __init__(self) -> None:
        self._suspect = 0.0  # the sign of the last residual, if that was clipped

    def admit(self, residual: float, limit: float) -> float:
        """The residual to learn from: as it is up to ``limit`` (> 0) or the second time."""
        if -limit <= residual <= limit:
            self._suspect = 0.0
            return residual
        if residual * self._suspect > 0.0:
            return residual
        self._suspect = 1.0 if residual > 0.0 else -1.0
        return self._suspect * limit
