"""Why a clock is not what was asked for: the bits that ``GpuState.throttle_reasons`` carries."""

from __future__ import annotations

from enum import IntFlag


class Throttle(IntFlag):
    """Reasons; their sum is ``throttle_reasons`` of ``GpuState``, whose constants they equal."""

    NONE = 0
    SOFT_LIMIT = 1
    HARD_LIMIT = 2
    BOARD_THERMAL = 4
    BOARD_POWER = 8
    OVERWRITTEN = 16
    NOT_IN_EFFECT = 32
    POWER_MODE = 64
