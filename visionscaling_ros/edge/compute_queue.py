"""One worker thread for the models, with admission control in front of it."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from visionscaling_ros.edge.model_runner import ModelRunner
from visionscaling_ros.edge.protocol import InferCall
from visionscaling_ros.edge.relative_detections import RelativeDetections
from visionscaling_ros.errors import EdgeError

# Weight of the newest measurement in the expected computing time.
EWMA_WEIGHT = 0.3


class OverloadedError(EdgeError):
    """The server has more to do than the request has time for."""


@dataclass(frozen=True)
class Computed:
    """A result and what it took."""

    detections: RelativeDetections
    queue_s: float
    compute_s: float


@dataclass
class _Job:
    call: InferCall
    expected_s: float
    submitted_s: float = field(default_factory=time.monotonic)
    started_s: float | None = None


class ComputeQueue:
    """First come, first served; refuses at once what cannot be done in time.

    Holds at most ``max_jobs`` requests, the running one included. The time a request will take is
    learnt per (model, input size).
    """

    def __init__(self, runner: ModelRunner, *, max_jobs: int = 16) -> None:
        self._runner = runner
        self._max_jobs = max_jobs
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix='edge-compute')
        self._lock = threading.Lock()
        self._jobs: dict[Future[Computed], _Job] = {}
        self._compute_s: dict[tuple[str, int], float] = {}

    async def warm_up(self) -> None:
        """Warm the models up in the worker thread."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._runner.warm_up)

    async def infer(self, call: InferCall, time_left_s: float) -> Computed:
        """Run ``call``; raises OverloadedError, or what the runner raises."""
        expected_s = self._compute_s.get((call.model, call.input_size_px), 0.0)
        with self._lock:
            jobs = list(self._jobs.values())
        if len(jobs) >= self._max_jobs:
            raise OverloadedError(f'{len(jobs)} requests are waiting, allowed: {self._max_jobs}')
        needed_s = expected_s + _backlog_s(jobs)
        if needed_s > time_left_s:
            raise OverloadedError(
                f'the reply would take {needed_s:.3f} s, the deadline leaves {time_left_s:.3f} s'
            )
        job = _Job(call, expected_s)
        future = self._executor.submit(self._run, job, time_left_s)
        with self._lock:
            self._jobs[future] = job
        future.add_done_callback(self._forget)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drop what waits, wait for what runs, end the thread."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _run(self, job: _Job, time_left_s: float) -> Computed:
        call = job.call
        job.started_s = started_s = time.monotonic()
        queue_s = started_s - job.submitted_s
        if queue_s > time_left_s:
            raise OverloadedError(f'its deadline passed after {queue_s:.3f} s in the queue')
        detections = self._runner.run(call.model, call.input_size_px, call.jpeg)
        compute_s = time.monotonic() - started_s
        key = (call.model, call.input_size_px)
        known_s = self._compute_s.get(key, compute_s)
        self._compute_s[key] = known_s + EWMA_WEIGHT * (compute_s - known_s)
        return Computed(detections, queue_s, compute_s)

    def _forget(self, future: Future[Computed]) -> None:
        with self._lock:
            del self._jobs[future]


def _backlog_s(jobs: list[_Job]) -> float:
    now_s = time.monotonic()
    done_s = sum(
        min(job.expected_s, now_s - job.started_s) for job in jobs if job.started_s is not None
    )
    return max(0.0, sum(job.expected_s for job in jobs) - done_s)
