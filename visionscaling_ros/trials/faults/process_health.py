"""Memory and threads of the processes of a run, each from its last start on."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import psutil

# A process that is younger still fills its windows, caches and allocator.
WARM_UP_S = 120.0
# What it has at the start and at the end is the median of so many.
MEDIAN_SAMPLES = 5


@dataclass
class ProcessHistory:
    """Samples of one process since it has warmed up."""

    pid: int
    rss_mib: list[float] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)

    @property
    def is_judged(self) -> bool:
        """Whether it has run for long enough to tell growth from warming up."""
        return len(self.rss_mib) >= 2 * MEDIAN_SAMPLES


@dataclass(frozen=True)
class ProcessGrowth:
    """One process over the run: medians after warming up and at the end, and the most there was."""

    name: str
    samples: int
    rss_start_mib: float
    rss_max_mib: float
    rss_end_mib: float
    threads_start: int
    threads_early_max: int
    threads_max: int
    threads_end: int

    @property
    def keeps_adding_threads(self) -> bool:
        """Whether it ends with more threads than it ever had in its first half.

        gRPC's pool breathes by a thread or two, so one more than at the start says nothing; what
        leaks a thread now and then has passed its earlier most in the end.
        """
        return self.threads_end > self.threads_early_max

    @property
    def rss_growth(self) -> float:
        """Share by which its resident memory grew, 0.05: by 5 %."""
        return self.rss_end_mib / self.rss_start_mib - 1.0


class ProcessHealth:
    """Samples processes by name; one that was started again begins anew.

    :param warm_up_s: samples of a process that is younger do not count [s].
    """

    def __init__(self, warm_up_s: float = WARM_UP_S) -> None:
        self._warm_up_s = warm_up_s
        self._histories: dict[str, ProcessHistory] = {}

    def sample(self, pids: Mapping[str, int]) -> None:
        """Take a sample of each; one that is gone is passed over."""
        for name, pid in pids.items():
            history = self._histories.get(name)
            if history is None or history.pid != pid:
                history = self._histories[name] = ProcessHistory(pid)
            try:
                process = psutil.Process(pid)
                if time.time() - process.create_time() < self._warm_up_s:
                    continue
                with process.oneshot():
                    rss_mib, threads = process.memory_info().rss / 2**20, process.num_threads()
            except psutil.NoSuchProcess:
                continue
            history.rss_mib.append(rss_mib)
            history.threads.append(threads)

    def growth(self) -> list[ProcessGrowth]:
        """Every process that has run for long enough since its last start."""
        return [
            _growth(name, history) for name, history in self._histories.items() if history.is_judged
        ]


def _growth(name: str, history: ProcessHistory) -> ProcessGrowth:
    rss_mib, threads = history.rss_mib, history.threads
    return ProcessGrowth(
        name,
        len(rss_mib),
        statistics.median(rss_mib[:MEDIAN_SAMPLES]),
        max(rss_mib),
        statistics.median(rss_mib[-MEDIAN_SAMPLES:]),
        round(statistics.median(threads[:MEDIAN_SAMPLES])),
        max(threads[: len(threads) // 2]),
        max(threads),
        round(statistics.median(threads[-MEDIAN_SAMPLES:])),
    )
