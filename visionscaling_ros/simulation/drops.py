"""Whole numbers of frames out of a fluid."""

from __future__ import annotations

from visionscaling_ros.datatypes import DropReason

_REASONS = (DropReason.NOT_SCHEDULED, DropReason.SUPERSEDED, DropReason.EDGE_FAILED)


class DropCounter:
    """Counts dropped frames by reason; what is left of a frame counts in a later slot.

    :param slot_s: length of a slot [s].
    """

    def __init__(self, slot_s: float) -> None:
        self._slot_s = slot_s
        self._frames = [0.0] * len(_REASONS)

    def add(
        self, not_scheduled_fps: float, superseded_fps: float, edge_failed_fps: float
    ) -> dict[str, int]:
        """Whole frames of each reason that has any, from the rates of a slot [frames/s]."""
        counts: dict[str, int] = {}
        rates_fps = (not_scheduled_fps, superseded_fps, edge_failed_fps)
        for i, rate_fps in enumerate(rates_fps):
            if rate_fps > 0.0:
                frames = self._frames[i] + rate_fps * self._slot_s
                whole = int(frames)
                self._frames[i] = frames - whole
                if whole:
                    counts[_REASONS[i].value] = whole
        return counts
