"""What measurements in the run say about the accuracy table, as far as they can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

Key = TypeVar('Key')

# Standard deviations of log(measured / expected). Of the scene as a whole (light, weather, size of
# the objects), before anything is measured; of one configuration beside the others; of one frame,
# so that n frames together have FRAME_SD / sqrt(n). The last was measured: resampled sets of 5 to
# 40 generated street frames gave 0.2 to 0.7.
SCENE_SD = 0.4
POINT_SD = 0.15
FRAME_SD = 0.5
MIN_FRAMES = 5  # the AP of fewer frames is too high by 20 % and more
FACTOR_RANGE = (0.2, 1.5)
LEAST_MAP = 0.01  # an accuracy of 0 says "very low" and not "minus infinity"


@dataclass(frozen=True)
class Evidence:
    """What was measured of one configuration on ``frames`` frames, and what the table expects."""

    measured_map: float
    expected_map: float
    frames: int


@dataclass(frozen=True)
class Correction:
    """Factor on the table's accuracy, and the standard deviation of its logarithm."""

    factor: float
    log_sd: float


def correct(
    evidence: Mapping[Key, Evidence], keys: Iterable[Key], *, model_sd: float = 0.0
) -> dict[Key, Correction]:
    """Corrections of all ``keys``, those without evidence included.

    Hierarchical normal model of ``y_k = log(measured_k / expected_k) = scene + point_k + noise_k``
    with ``scene ~ N(0, SCENE_SD^2)``, ``point_k ~ N(0, POINT_SD^2)`` and ``noise_k ~
    N(0, model_sd^2 + FRAME_SD^2 / frames_k)``. The answer is the posterior mean and deviation of
    ``scene + point_k`` (best linear unbiased prediction; Robinson, Statistical Science 6(1), 1991):
    nothing measured leaves the table as it is, a configuration that never ran moves with the
    others, and one that ran much is believed for itself.

    :param model_sd: standard deviation of the logarithm of what ``expected_map`` itself may be off.
    """
    noise = {
        key: (model_sd**2 + FRAME_SD**2 / seen.frames, _log_ratio(seen))
        for key, seen in evidence.items()
        if seen.frames >= MIN_FRAMES
    }
    weights = {key: 1.0 / (POINT_SD**2 + variance) for key, (variance, _) in noise.items()}
    precision = 1.0 / SCENE_SD**2 + sum(weights.values())
    scene = sum(weights[key] * log_ratio for key, (_, log_ratio) in noise.items()) / precision
    corrections = {}
    for key in keys:
        log_factor, variance = scene, 1.0 / precision + POINT_SD**2
        if key in noise:
            gain = POINT_SD**2 * weights[key]
            log_factor += gain * (noise[key][1] - scene)
            variance = (1.0 - gain) ** 2 / precision + POINT_SD**2 * (1.0 - gain)
        low, high = FACTOR_RANGE
        corrections[key] = Correction(
            min(max(math.exp(log_factor), low), high), math.sqrt(variance)
        )
    return corrections


def _log_ratio(seen: Evidence) -> float:
    return math.log(max(seen.measured_map, LEAST_MAP) / max(seen.expected_map, LEAST_MAP))
