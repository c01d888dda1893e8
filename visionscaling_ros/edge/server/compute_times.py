"""How long requests take, learnt from those that were computed."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field

from visionscaling_ros.edge.server.model_runner import Workload

# Weight of the newest measurement, and how far off the mean it counts at most.
EWMA_WEIGHT = 0.2
OUTLIER_RATIO = 3.0
# The first measurements of a size pay for caches and memory: the shortest of so many is believed.
SETTLING = 3
# A mean that nothing confirms falls by half in this time, down to the shortest ever measured:
# were it wrong and too long, every request would be refused and nothing measured any more.
HALF_LIFE_S = 5.0
# Shapes are the clients' choice; more of them than this are forgotten, longest unused first.
MAX_WORKLOADS = 1000


@dataclass
class _Mean:
    mean_s: float
    shortest_s: float
    measured_s: float  # when, on the monotonic clock
    batch_number: int  # of its workload
    count: int = 1

    def add(self, sample_s: float, now_s: float) -> None:
        if self.count < SETTLING:
            self.mean_s = min(self.mean_s, sample_s)
        else:
            low_s, high_s = self.mean_s / OUTLIER_RATIO, self.mean_s * OUTLIER_RATIO
            self.mean_s += EWMA_WEIGHT * (min(max(sample_s, low_s), high_s) - self.mean_s)
        self.shortest_s = min(self.shortest_s, sample_s)
        self.measured_s = now_s
        self.count += 1

    def at(self, now_s: float) -> float:
        left = math.pow(0.5, max(0.0, now_s - self.measured_s) / HALF_LIFE_S)
        return self.shortest_s + (self.mean_s - self.shortest_s) * left


@dataclass
class _Known:
    by_size: dict[int, _Mean] = field(default_factory=dict)
    batches: int = 0


class ComputeTimes:
    """Mean time of batches by workload and number of requests, outliers clipped.

    What was not measured is guessed from what is nearest: other batch sizes of the workload in
    proportion, then other shapes of the model by their pixels, else 0.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[Workload, _Known] = OrderedDict()

    def enter(self, workload: Workload, single_s: float, now_s: float) -> None:
        """What one request took while warming up."""
        self.add(workload, 1, single_s, now_s)
        self._known[workload].by_size[1].count = SETTLING

    def add(self, workload: Workload, count: int, batch_s: float, now_s: float) -> None:
        """A batch of ``count`` requests took ``batch_s``."""
        known = self._known.setdefault(workload, _Known())
        self._known.move_to_end(workload)
        if len(self._known) > MAX_WORKLOADS:
            self._known.popitem(last=False)
        known.batches += 1
        mean = known.by_size.get(count)
        if mean is None:
            mean = known.by_size[count] = _Mean(batch_s, batch_s, now_s, 0, count=0)
        mean.add(batch_s, now_s)
        mean.batch_number = known.batches

    def batch_s(self, workload: Workload, count: int, now_s: float) -> float:
        """What a batch of ``count`` requests is expected to take."""
        known = self._known.get(workload)
        if known is None:
            return count * self._single_by_shape_s(workload, now_s)
        if count in known.by_size:
            return known.by_size[count].at(now_s)
        nearest = min(known.by_size, key=lambda size: abs(math.log(size / count)))
        return known.by_size[nearest].at(now_s) * count / nearest

    def shortest_s(self, workload: Workload) -> float:
        """The shortest time a single request ever took, 0 if none was measured."""
        known = self._known.get(workload)
        return known.by_size[1].shortest_s if known and 1 in known.by_size else 0.0

    def measurements(self, workload: Workload, count: int) -> int:
        """How often a batch of this size was measured."""
        known = self._known.get(workload)
        return known.by_size[count].count if known and count in known.by_size else 0

    def batches_since(self, workload: Workload, count: int) -> int:
        """Batches of the workload measured since the last one of this size."""
        known = self._known[workload]
        return known.batches - known.by_size[count].batch_number

    def _single_by_shape_s(self, workload: Workload, now_s: float) -> float:
        candidates = [other for other in self._known if other.model == workload.model]
        if not candidates:
            return 0.0
        pixels = _pixels(workload)

        def distance(other: Workload) -> tuple[float, float]:
            by_input = abs(math.log(_pixels(other) / pixels))
            return by_input, abs(other.source_pixels - workload.source_pixels)

        nearest = min(candidates, key=distance)
        return self.batch_s(nearest, 1, now_s) * pixels / _pixels(nearest)


def _pixels(workload: Workload) -> int:
    return max(1, workload.input_height_px * workload.input_width_px)
