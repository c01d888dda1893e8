"""What the edge server counts."""

from __future__ import annotations

import bisect
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from visionscaling_ros.edge.server.request_outcome import RequestOutcome

# Upper ends of the histograms' bins [s]; what lies above the last is counted in +Inf.
TIME_BINS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
BATCH_BINS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
OTHER_ROBOTS = 'other'
UNKNOWN_ROBOT = 'unknown'  # the request ended before it said


class Histogram:
    """Counts by bin, as Prometheus counts them."""

    def __init__(self, bins: tuple[float, ...]) -> None:
        self.bins = bins
        self.counts = [0] * (len(bins) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect.bisect_left(self.bins, value)] += 1
        self.sum += value


@dataclass
class ModelCounts:
    """Of one model: images, and how long they took in all [s]."""

    succeeded: int = 0
    failed: int = 0
    queue_s: float = 0.0
    compute_s: float = 0.0
    compute_s_by_batch: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    last_unix_ms: int = 0

    def add(self, queue_s: float, compute_s: float, batch_size: int) -> None:
        """Count one image that was processed in a batch of ``batch_size``."""
        self.succeeded += 1
        self.queue_s += queue_s
        self.compute_s += compute_s
        self.compute_s_by_batch[batch_size] += compute_s
        self.last_unix_ms = int(time.time() * 1000)


@dataclass
class RequestRecord:
    """One request while it is under way; ``outcome`` is what it ends with."""

    outcome: RequestOutcome = RequestOutcome.FAILED
    robot_id: str = ''


class ServerStatistics:
    """received = sum of outcomes + in flight, at every moment. For the server's loop only.

    :param robots: counted by name; further ones together, or their names would fill the memory.
    """

    def __init__(self, *, robots: int) -> None:
        self._robots = robots
        self._known: set[str] = set()
        self.received = 0
        self.in_flight = 0
        self.outcomes: Counter[tuple[str, RequestOutcome]] = Counter()
        self.models: dict[str, ModelCounts] = {}
        self.queue_s = Histogram(TIME_BINS_S)
        self.compute_s = Histogram(TIME_BINS_S)
        self.batch_size = Histogram(BATCH_BINS)
        self.received_bytes = 0

    @contextlib.contextmanager
    def request(self) -> Iterator[RequestRecord]:
        """Count a request in, and out again with the outcome that its record has in the end."""
        record = RequestRecord()
        self.received += 1
        self.in_flight += 1
        try:
            yield record
        finally:
            self.in_flight -= 1
            self.outcomes[self.label(record.robot_id), record.outcome] += 1

    def computed(self, model: str, queue_s: float, compute_s: float, batch_size: int) -> None:
        """Count a result."""
        self.model(model).add(queue_s, compute_s, batch_size)
        self.queue_s.add(queue_s)
        self.compute_s.add(compute_s)
        self.batch_size.add(batch_size)

    def model(self, name: str) -> ModelCounts:
        """The counts of a model, of those that are served."""
        return self.models.setdefault(name, ModelCounts())

    def total(self, outcome: RequestOutcome) -> int:
        """Requests of all robots that ended so."""
        return sum(count for (_, ended), count in self.outcomes.items() if ended is outcome)

    def label(self, robot_id: str) -> str:
        """What a robot is counted under."""
        if not robot_id:
            return UNKNOWN_ROBOT
        if robot_id not in self._known:
            if len(self._known) >= self._robots:
                return OTHER_ROBOTS
            self._known.add(robot_id)
        return robot_id
