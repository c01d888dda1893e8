"""Does accuracy rise with cost? Rank correlation along each axis of the operating points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Point = tuple[str, int]  # model, input size [px]


@dataclass(frozen=True)
class CostTrend:
    """Kendall's tau-b of mAP against FLOPs: NaN where there is nothing to compare.

    along_size: over the input sizes of each model. along_model: over the models at each input
    size. overall: over all points. cost_ratio: FLOPs of the dearest point over the cheapest.
    """

    along_size: Mapping[str, float]
    along_model: Mapping[int, float]
    overall: float
    cost_ratio: float


def cost_trend(accuracies_map: Mapping[Point, float], flops: Mapping[Point, float]) -> CostTrend:
    """The trend over the points whose cost is known (finite and above 0)."""
    points = [p for p in accuracies_map if math.isfinite(flops[p]) and flops[p] > 0.0]

    def tau(chosen: list[Point]) -> float:
        return kendall_tau_b([flops[p] for p in chosen], [accuracies_map[p] for p in chosen])

    models = dict.fromkeys(model for model, _ in points)
    sizes_px = sorted({size_px for _, size_px in points})
    costs = [flops[p] for p in points]
    return CostTrend(
        along_size={name: tau([p for p in points if p[0] == name]) for name in models},
        along_model={size_px: tau([p for p in points if p[1] == size_px]) for size_px in sizes_px},
        overall=tau(points),
        cost_ratio=max(costs) / min(costs) if costs else math.nan,
    )


def kendall_tau_b(first: Sequence[float], second: Sequence[float]) -> float:
    """Rank correlation with ties, -1 to 1; NaN where one of the two is constant or too short.

    tau_b = (concordant - discordant) / sqrt(pairs untied in first * pairs untied in second),
    Kendall, Rank Correlation Methods, 1970.
    """
    signs = [np.sign(np.subtract.outer(x, x)) for x in (np.asarray(first), np.asarray(second))]
    untied = math.sqrt(float(np.sum(signs[0] ** 2)) * float(np.sum(signs[1] ** 2)))
    return float(np.sum(signs[0] * signs[1])) / untied if untied else math.nan
