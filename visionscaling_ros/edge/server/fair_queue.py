"""Requests that wait for a worker: every robot gets the same part of the computing time.

Start-time fair queueing (Goyal, Vin and Cheng, IEEE/ACM Trans. Networking 5(5), 1997) with the
predicted computing time as length: the robot that has had the least is served next, and one that
was away starts at what the least served one has had, without credit.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from visionscaling_ros.edge.server.batching import Batching
from visionscaling_ros.edge.server.model_runner import Workload
from visionscaling_ros.edge.wire.protocol import InferCall


@dataclass(eq=False)
class Job:
    """One request. Times are on ``time.monotonic()``.

    :param expected_s: computing time it was admitted for.
    :param charged_s: computing time its robot was charged for when it was taken.
    """

    call: InferCall
    robot: str
    workload: Workload
    submitted_s: float
    deadline_s: float
    expected_s: float
    future: asyncio.Future[Any]
    charged_s: float = 0.0


@dataclass(eq=False)
class _Lane:
    """One robot: its requests, and the computing time it has had on the common scale."""

    had_s: float = 0.0
    jobs: deque[Job] = field(default_factory=deque)
    backlog_s: float = 0.0
    running: int = 0

    @property
    def held(self) -> int:
        return len(self.jobs) + self.running


class FairQueue:
    """Not thread-safe; times are passed in.

    While two robots have requests waiting, the computing time one has had exceeds the other's by
    at most one batch: only the robot that had least starts a batch, and another may join it only
    if that takes it no further than the first one would get by filling the batch alone.
    """

    def __init__(self, batching: Batching) -> None:
        self._batching = batching
        self._lanes: dict[str, _Lane] = {}
        self._served_s = 0.0  # what the least served robot had when it was last served
        self._count: Counter[Workload] = Counter()

    def __len__(self) -> int:
        return sum(len(lane.jobs) for lane in self._lanes.values())

    def __iter__(self) -> Iterator[Job]:
        return (job for lane in self._lanes.values() for job in lane.jobs)

    @property
    def backlog_s(self) -> float:
        """What all that wait are expected to take."""
        return sum(lane.backlog_s for lane in self._lanes.values())

    def held(self, robot: str) -> int:
        """Requests of ``robot``, waiting or running."""
        return self._lanes[robot].held if robot in self._lanes else 0

    def waiting(self, workload: Workload) -> int:
        """Requests of this workload that wait."""
        return self._count[workload]

    def most_held(self) -> tuple[str, int]:
        """The robot with the most requests that wait or run, among those with one that waits."""
        waiting = [(robot, lane) for robot, lane in self._lanes.items() if lane.jobs]
        robot, lane = max(waiting, key=lambda item: item[1].held, default=('', _Lane()))
        return robot, lane.held

    def served_before_s(self, robot: str, expected_s: float) -> float:
        """Work that is done before a further request of ``robot`` starts.

        Its own that waits, and the others' up to where they have had as much as it then has.
        """
        lane = self._lanes.get(robot)
        own_s = lane.backlog_s if lane else 0.0
        start_s = max(lane.had_s if lane else 0.0, self._served_s)
        end_s = start_s + own_s + expected_s
        others_s = (
            min(other.backlog_s, max(0.0, end_s - other.had_s))
            for other in self._lanes.values()
            if other is not lane
        )
        return own_s + sum(others_s)

    def put(self, job: Job) -> None:
        """Add a request."""
        lane = self._lanes.setdefault(job.robot, _Lane())
        if not lane.jobs:
            lane.had_s = max(lane.had_s, self._served_s)
        lane.jobs.append(job)
        lane.backlog_s += job.expected_s
        self._count[job.workload] += 1

    def remove(self, job: Job) -> bool:
        """Take a request out; False if it does not wait."""
        lane = self._lanes.get(job.robot)
        if lane is None or job not in lane.jobs:
            return False
        self._leave(lane, job)
        self._forget_idle()
        return True

    def newest_of(self, robot: str) -> Job:
        """The request of ``robot`` that came last."""
        return self._lanes[robot].jobs[-1]

    def take(self, now_s: float) -> list[Job] | float:
        """The next batch, or for how long none is due (inf: until the next request)."""
        first = self._least_served()
        if first is None:
            return float('inf')
        workload = first.jobs[0].workload
        available = self._count[workload]
        if available == len(self):  # else there is other work to do meanwhile
            oldest_s = min(job.submitted_s for job in self)
            wait_s = self._batching.wait_s(workload, available, oldest_s, now_s)
            if wait_s > 0.0:
                return wait_s
        for size in self._batching.sizes(workload, available, now_s):
            item_s = self._batching.item_s(workload, size, now_s)
            jobs = self._gather(first, size, item_s)
            if size == 1 or (len(jobs) == size and _in_time(jobs, now_s + size * item_s)):
                break
        self._served_s = max(self._served_s, first.had_s)
        for job in jobs:
            lane = self._lanes[job.robot]
            self._leave(lane, job)
            job.charged_s = item_s
            lane.had_s += item_s
            lane.running += 1
        return jobs

    def settle(self, jobs: Sequence[Job], took_s: float) -> None:
        """A batch is done: charge the robots for what it took instead of what was expected."""
        for job in jobs:
            lane = self._lanes[job.robot]
            lane.running -= 1
            lane.had_s += took_s / len(jobs) - job.charged_s
        self._forget_idle()

    def _least_served(self) -> _Lane | None:
        waiting = [lane for lane in self._lanes.values() if lane.jobs]
        return min(waiting, key=lambda lane: lane.had_s, default=None)

    def _gather(self, first: _Lane, size: int, item_s: float) -> list[Job]:
        """Up to ``size`` requests like the first robot's first, the least served robots' first."""
        workload = first.jobs[0].workload
        jobs = [first.jobs[0]]
        if size == 1:
            return jobs
        limit_s = first.had_s + size * item_s * (1.0 + 1e-9)
        offers = {
            lane: (deque(job for job in lane.jobs if job.workload == workload), lane.had_s)
            for lane in self._lanes.values()
        }
        offers[first][0].popleft()
        offers[first] = (offers[first][0], first.had_s + item_s)
        while len(jobs) < size:
            able = [lane for lane, (jobs_left, had_s) in offers.items()
                    if jobs_left and had_s + item_s <= limit_s]  # fmt: skip
            if not able:
                break
            lane = min(able, key=lambda lane: offers[lane][1])
            jobs_left, had_s = offers[lane]
            jobs.append(jobs_left.popleft())
            offers[lane] = (jobs_left, had_s + item_s)
        return jobs

    def _leave(self, lane: _Lane, job: Job) -> None:
        lane.jobs.remove(job)
        lane.backlog_s = sum(other.expected_s for other in lane.jobs)
        self._count[job.workload] -= 1
        if not self._count[job.workload]:
            del self._count[job.workload]

    def _forget_idle(self) -> None:
        """Drop robots that are as good as new: nothing held and no debt, or nothing left at all."""
        busy = any(lane.held for lane in self._lanes.values())
        for robot, lane in list(self._lanes.items()):
            if not lane.held and (not busy or lane.had_s <= self._served_s):
                del self._lanes[robot]
        if not self._lanes:
            self._served_s = 0.0


def _in_time(jobs: Sequence[Job], end_s: float) -> bool:
    return all(job.deadline_s >= end_s for job in jobs)
