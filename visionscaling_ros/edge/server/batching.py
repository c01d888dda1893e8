"""How many requests to compute at once, and whether to wait for more of them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from visionscaling_ros.edge.server.compute_times import MAX_WORKLOADS, SETTLING, ComputeTimes
from visionscaling_ros.edge.server.model_runner import Workload

# A batch keeps its first request waiting for the others' results: it has to save this much.
GAIN = 0.05
# A size that lost is tried again after so many batches: it may have been measured at a bad time.
REVISIT_BATCHES = 200
# A batch keeps all other robots waiting: it should not take longer than this.
MAX_BATCH_S = 0.1
_GAP_WEIGHT = 0.2


@dataclass
class _Arrivals:
    last_s: float
    gap_s: float = float('inf')  # mean time between two

    def add(self, now_s: float) -> None:
        gap_s = now_s - self.last_s
        known = self.gap_s < float('inf')
        self.gap_s = self.gap_s + _GAP_WEIGHT * (gap_s - self.gap_s) if known else gap_s
        self.last_s = now_s


class Batching:
    """Batches where they were measured to be cheaper than single requests, and only there.

    Sizes are powers of two, so that engines which prepare for every shape see few.

    :param max_batch: requests in a batch at most.
    :param batch_delay_s: a request waits at most so long for others to join it.
    """

    def __init__(self, times: ComputeTimes, max_batch: int, batch_delay_s: float) -> None:
        self._times = times
        self._sizes = [2**k for k in range(max_batch.bit_length())]
        self._batch_delay_s = batch_delay_s
        self._arrivals: OrderedDict[Workload, _Arrivals] = OrderedDict()

    def arrived(self, workload: Workload, now_s: float) -> None:
        """A request was taken."""
        if self._batch_delay_s <= 0.0 or len(self._sizes) == 1:
            return
        if workload in self._arrivals:
            self._arrivals[workload].add(now_s)
        else:
            self._arrivals[workload] = _Arrivals(now_s)
        self._arrivals.move_to_end(workload)
        if len(self._arrivals) > MAX_WORKLOADS:
            self._arrivals.popitem(last=False)

    def sizes(self, workload: Workload, available: int, now_s: float) -> list[int]:
        """Batch sizes worth running with so many requests at hand, best first; 1 is the last.

        Sizes not known well enough come first: trying one costs about as much as single requests.
        """
        if available == 1:
            return [1]
        single_s = self.item_s(workload, 1, now_s)
        larger = [
            size
            for size in self._sizes[1:]
            if size <= available and self._is_short(workload, size, now_s)
        ]
        due = [size for size in larger if self._is_due(workload, size)]
        cost_s = {size: self.item_s(workload, size, now_s) for size in larger if size not in due}
        better = [size for size in cost_s if cost_s[size] < (1.0 - GAIN) * single_s]
        return [*due, *sorted(better, key=cost_s.__getitem__), 1]

    def item_s(self, workload: Workload, size: int, now_s: float) -> float:
        """What one request takes in a batch of ``size``."""
        return self._times.batch_s(workload, size, now_s) / size

    def best_item_s(self, workload: Workload, available: int, now_s: float) -> float:
        """What one of ``available`` requests is expected to take, batched as they will be."""
        size = self.sizes(workload, available, now_s)[0]
        return self.item_s(workload, size, now_s)

    def wait_s(self, workload: Workload, held: int, oldest_s: float, now_s: float) -> float:
        """How long to leave ``held`` requests alone for more to come; 0: compute them now.

        Waiting pays when the requests that complete the next larger batch are expected to be here
        before the time has passed that this batch saves, and within the delay allowed.

        :param oldest_s: when the first of them arrived.
        """
        arrivals = self._arrivals.get(workload)
        left_s = oldest_s + self._batch_delay_s - now_s
        target = next((size for size in self._sizes if size > held), None)
        if arrivals is None or target is None or left_s <= 0.0:
            return 0.0
        if self._times.measurements(workload, target) < SETTLING:
            return 0.0
        if not self._is_short(workload, target, now_s):
            return 0.0
        saved_s = target * (
            self.best_item_s(workload, held, now_s) - self.item_s(workload, target, now_s)
        )
        gap_s = max(arrivals.gap_s, now_s - arrivals.last_s)
        return left_s if (target - held) * gap_s < min(saved_s, left_s) else 0.0

    def _is_short(self, workload: Workload, size: int, now_s: float) -> bool:
        if self._times.batch_s(workload, size, now_s) <= MAX_BATCH_S:
            return True
        # measured, but perhaps at a bad time
        return self._times.measurements(workload, size) > 0 and self._is_due(workload, size)

    def _is_due(self, workload: Workload, size: int) -> bool:
        if self._times.measurements(workload, size) < SETTLING:
            return True
        return self._times.batches_since(workload, size) >= REVISIT_BATCHES
