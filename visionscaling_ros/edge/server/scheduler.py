"""Takes requests, refuses those that cannot be done in time, and has workers compute the rest."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from visionscaling_ros.edge.server.admission import check_time, job_to_displace
from visionscaling_ros.edge.server.batch_run import resolve, run_batch
from visionscaling_ros.edge.server.batching import Batching
from visionscaling_ros.edge.server.compute_times import ComputeTimes
from visionscaling_ros.edge.server.computed import Computed, DrainingError, OverloadedError, outcome
from visionscaling_ros.edge.server.fair_queue import FairQueue, Job
from visionscaling_ros.edge.server.model_runner import ModelRunner
from visionscaling_ros.edge.server.robot_shares import RobotShares
from visionscaling_ros.edge.server.scheduler_snapshot import SchedulerSnapshot, WorkCounters
from visionscaling_ros.edge.server.work_books import WorkBooks
from visionscaling_ros.edge.wire.protocol import InferCall
from visionscaling_ros.errors import InvalidValueError

__all__ = ['Computed', 'DrainingError', 'OverloadedError', 'Scheduler']

THREAD_NAME = 'edge-compute'
# A batch that is under way when the server stops gets at least so long to end.
LEAST_JOIN_S = 1.0


@dataclass
class _Running:
    jobs: Sequence[Job]
    started_s: float
    expected_s: float

    def left_s(self, now_s: float) -> float:
        """What is late is expected to take as long again as it is late: it may hang."""
        return abs(self.started_s + self.expected_s - now_s)


class Scheduler:
    """Workers behind a fair queue, with admission control in front of it.

    Raises InvalidValueError for a number below 1 or a negative delay.

    :param max_jobs: requests held at most, those that are being computed included. While several
        robots are active each may fill its part; a robot within its part displaces the newest
        waiting request of the one that holds most.
    :param max_batch: requests in a batch at most.
    :param batch_delay_s: a request waits at most so long for others to join it, and only where
        that was measured to save time.
    :param workers: threads that compute, each with detectors of its own.
    """

    def __init__(
        self,
        runner: ModelRunner,
        *,
        max_jobs: int = 64,
        max_batch: int = 8,
        batch_delay_s: float = 0.002,
        workers: int = 1,
    ) -> None:
        for name, number in (('max_jobs', max_jobs), ('max_batch', max_batch),
                             ('workers', workers)):  # fmt: skip
            if number < 1:
                raise InvalidValueError(name, number, 'at least 1')
        if not 0.0 <= batch_delay_s < math.inf:
            raise InvalidValueError('batch_delay_s', batch_delay_s, 'a number from 0')
        self._runner = runner
        self._max_jobs = max_jobs
        self._worker_count = workers
        self._times = ComputeTimes()
        self._batching = Batching(self._times, max_batch, batch_delay_s)
        self._queue = FairQueue(self._batching)
        self._shares = RobotShares(workers)
        self._changed = threading.Condition()
        self._running: dict[int, _Running] = {}
        self._threads: list[threading.Thread] = []
        self._draining = self._stopped = False
        self._books = WorkBooks()

    async def warm_up(self) -> None:
        """Start the workers and warm up in each; raises what the runner raises, then is closed."""
        loop = asyncio.get_running_loop()
        for place in range(self._worker_count):
            warm: asyncio.Future[None] = loop.create_future()
            thread = threading.Thread(
                target=self._work, args=(place, warm), name=f'{THREAD_NAME}-{place}', daemon=True
            )
            self._threads.append(thread)
            thread.start()
            try:
                await warm
            except BaseException:
                await asyncio.to_thread(self.close, 0.0)
                raise

    async def infer(self, call: InferCall, time_left_s: float, *, robot: str = '') -> Computed:
        """Compute ``call``.

        :param robot: on whose account, ``call.robot_id`` where it is empty.
        :raises OverloadedError: there is no time or no place for it, or its deadline passed.
        :raises DrainingError: it came after :meth:`close`, or was not done in time then.
        :raises VisionScalingError: the request is unusable (at once), or what ``run`` says.
        """
        robot = robot or call.robot_id
        workload = self._runner.workload(call)
        future: asyncio.Future[Computed] = asyncio.get_running_loop().create_future()
        now_s = time.monotonic()
        job = Job(call, robot, workload, now_s, now_s + time_left_s, 0.0, future)
        with self._changed:
            self._shares.seen(robot, now_s)
            try:
                self._admit(job)
            except OverloadedError:
                self._count(job, WorkCounters(refused=1))
                raise
            self._queue.put(job)
            self._batching.arrived(workload, now_s)
            self._changed.notify()
        try:
            return await future
        except asyncio.CancelledError:
            with self._changed:
                if self._queue.remove(job):
                    self._count(job, WorkCounters(cancelled=1))
            raise

    def share(self, robot: str, now_s: float) -> float:
        """The share (0 to 1] of the server that ``robot`` can count on: see RobotShares."""
        with self._changed:
            return self._shares.share(robot, now_s)

    def snapshot(self) -> SchedulerSnapshot:
        """What it holds and what it has done."""
        with self._changed:
            running = [job for batch in self._running.values() for job in batch.jobs]
            return SchedulerSnapshot(
                queued=Counter(job.call.model for job in self._queue),
                running=Counter(job.call.model for job in running),
                queued_s=self._queue.backlog_s,
                robots=self._books.robots(),
                models=self._books.models(),
                batch_sizes=self._books.batch_sizes(),
            )

    def close(self, drain_s: float = 0.0) -> None:
        """Refuse what comes; finish what is there for ``drain_s``, then fail the rest.

        What is being computed then gets LEAST_JOIN_S more: a thread that hangs cannot be ended.
        Blocks: call it in another thread than the event loop's, so that results can be delivered.
        """
        end_s = time.monotonic() + drain_s
        with self._changed:
            self._draining = True
            self._changed.wait_for(
                lambda: not len(self._queue) and not self._running, timeout=drain_s
            )
            self._stopped = True
            stopping = DrainingError('the server stops and had no time left for it')
            for job in list(self._queue):
                self._give_up(job, stopping)
            self._changed.notify_all()
        end_s = max(end_s, time.monotonic() + LEAST_JOIN_S)
        for thread in self._threads:
            thread.join(max(0.0, end_s - time.monotonic()))
        with self._changed:
            hanging = [job for batch in self._running.values() for job in batch.jobs]
        resolve([(job.future, stopping) for job in hanging])

    def _admit(self, job: Job) -> None:
        """Raise OverloadedError, or make room for ``job``."""
        if self._draining:
            raise DrainingError('the server is about to stop')
        now_s = job.submitted_s
        available = self._queue.waiting(job.workload) + 1
        job.expected_s = self._batching.best_item_s(job.workload, available, now_s)
        busy_s = [batch.left_s(now_s) for batch in self._running.values()]
        check_time(
            self._queue,
            job,
            single_s=self._times.batch_s(job.workload, 1, now_s),
            busy_s=[*busy_s, *[0.0] * (self._worker_count - len(busy_s))],
        )
        displaced = job_to_displace(
            self._queue,
            job.robot,
            running=sum(len(batch.jobs) for batch in self._running.values()),
            max_jobs=self._max_jobs,
            active=self._shares.active(now_s),
        )
        if displaced is not None:
            self._give_up(displaced, OverloadedError('its place went to a robot that holds less'))

    def _work(self, place: int, warm: asyncio.Future[None]) -> None:
        """What a worker thread does."""
        try:
            times_s = self._runner.warm_up()
        except BaseException as error:  # whoever waits for the warm-up gets it
            resolve([(warm, error)])
            return
        with self._changed:
            for workload, single_s in times_s.items():
                self._times.enter(workload, single_s, time.monotonic())
        resolve([(warm, None)])
        while jobs := self._next_batch(place):
            self._compute(place, jobs)

    def _next_batch(self, place: int) -> Sequence[Job]:
        """Wait for work; nothing once the scheduler is closed."""
        with self._changed:
            while not self._stopped:
                now_s = time.monotonic()
                for job in list(self._queue):
                    if job.deadline_s < now_s + self._times.shortest_s(job.workload):
                        waited_s = now_s - job.submitted_s
                        text = f'its deadline cannot be met after {waited_s:.3f} s in the queue'
                        self._give_up(job, OverloadedError(text))
                taken = self._queue.take(now_s)
                if isinstance(taken, list):
                    expected_s = sum(job.charged_s for job in taken)
                    self._running[place] = _Running(taken, now_s, expected_s)
                    return taken
                self._changed.wait(None if math.isinf(taken) else taken)
            return ()

    def _compute(self, place: int, jobs: Sequence[Job]) -> None:
        started_s = self._running[place].started_s
        model = jobs[0].call.model
        results = run_batch(self._runner, model, [job.call for job in jobs])
        ended_s = time.monotonic()
        took_s = ended_s - started_s
        with self._changed:
            del self._running[place]
            self._queue.settle(jobs, took_s)
            if not any(isinstance(result, Exception) for result in results):
                self._times.add(jobs[0].workload, len(jobs), took_s, ended_s)
            self._books.batch(model, len(jobs))
            for job, result in zip(jobs, results, strict=True):
                failed = isinstance(result, Exception)
                change = WorkCounters(
                    done=int(not failed),
                    failed=int(failed),
                    queue_s=started_s - job.submitted_s,
                    compute_s=took_s / len(jobs),
                )
                self._count(job, change)
                self._shares.used(job.robot, change.compute_s, ended_s)
            self._changed.notify_all()
        resolve(
            [
                (job.future, outcome(result, started_s - job.submitted_s, took_s, len(jobs)))
                for job, result in zip(jobs, results, strict=True)
            ]
        )

    def _give_up(self, job: Job, error: Exception) -> None:
        self._queue.remove(job)
        self._count(job, WorkCounters(dropped=1))
        resolve([(job.future, error)])

    def _count(self, job: Job, change: WorkCounters) -> None:
        self._books.count(job.robot, job.call.model, change)
