"""The books: every frame that arrives is opened once and closed once."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.datatypes import Allocation, Origin
from visionscaling_ros.pipeline.frame import Frame, FrameFate


@dataclass(frozen=True)
class BooksSnapshot:
    """Counters since start, and statistics of the last ``window_s`` seconds (NaN: no frame)."""

    arrived: int
    processed_local: int
    processed_edge: int
    dropped: int
    drop_counts: dict[str, int]
    in_flight: int
    gpu_busy_s: float
    latency_local_mean_s: float
    latency_local_p95_s: float
    latency_edge_mean_s: float
    latency_edge_p95_s: float
    processed: tuple[Allocation, ...]


class FrameBooks:
    """Thread-safe ledger; always arrived = processed_local + processed_edge + dropped + in_flight.

    :param window_s: length of the window for latencies and rates [s].
    """

    def __init__(self, window_s: float = 1.0) -> None:
        self._lock = threading.Lock()
        self._window_s = window_s
        self._open: dict[int, Frame] = {}
        self._arrived = 0
        self._processed = {Origin.LOCAL: 0, Origin.EDGE: 0, Origin.SPLIT: 0}
        self._drops: Counter[str] = Counter()
        self._gpu_busy_s = 0.0
        self._recent: deque[tuple[float, FrameFate]] = deque()

    def open(self, frame: Frame) -> None:
        """Enter a frame that arrived."""
        with self._lock:
            self._arrived += 1
            self._open[frame.number] = frame

    def close(self, fate: FrameFate, now_s: float) -> bool:
        """Enter a frame's fate; False (and nothing changes) if it already has one."""
        with self._lock:
            if self._open.pop(fate.frame.number, None) is None:
                return False
            # the power model's utilisation is of a pipeline, its serial stages included
            self._gpu_busy_s += fate.gpu_time_s + fate.serial_time_s
            if fate.drop_reason is not None:
                self._drops[fate.drop_reason.value] += 1
            else:
                self._processed[fate.origin] += 1
                self._recent.append((now_s, fate))
            return True

    def open_frame(self, number: int) -> Frame | None:
        """The frame with this number while it has no fate."""
        with self._lock:
            return self._open.get(number)

    def open_frames(self) -> list[Frame]:
        """All frames without a fate, oldest first."""
        with self._lock:
            return list(self._open.values())

    def snapshot(self, now_s: float) -> BooksSnapshot:
        """A consistent view of the counters, and the statistics of the window before ``now_s``."""
        with self._lock:
            while self._recent and self._recent[0][0] < now_s - self._window_s:
                self._recent.popleft()
            recent = [fate for _, fate in self._recent]
            counters = (
                self._arrived,
                self._processed[Origin.LOCAL],
                self._processed[Origin.EDGE] + self._processed[Origin.SPLIT],
                sum(self._drops.values()),
                dict(self._drops),
                len(self._open),
                self._gpu_busy_s,
            )
        local_s = [fate.latency_s for fate in recent if fate.origin is Origin.LOCAL]
        edge_s = [fate.latency_s for fate in recent if fate.origin is not Origin.LOCAL]
        return BooksSnapshot(
            *counters, *_mean_and_p95(local_s), *_mean_and_p95(edge_s), self._rates(recent)
        )

    def _rates(self, recent: list[FrameFate]) -> tuple[Allocation, ...]:
        counts = Counter(
            (a.model, a.input_size_px, a.origin, a.cut)
            for a in (fate.frame.allocation for fate in recent)
            if a is not None
        )
        return tuple(
            Allocation(model, size, origin, count / self._window_s, cut)
            for (model, size, origin, cut), count in sorted(counts.items())
        )


def _mean_and_p95(values_s: list[float]) -> tuple[float, float]:
    if not values_s:
        return float('nan'), float('nan')
    return float(np.mean(values_s)), float(np.percentile(values_s, 95))
