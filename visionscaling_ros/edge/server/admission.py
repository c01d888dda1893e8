"""Whether a request can be done in time, and whether there is a place for it."""

from __future__ import annotations

from collections.abc import Sequence

from visionscaling_ros.edge.server.computed import OverloadedError
from visionscaling_ros.edge.server.fair_queue import FairQueue, Job


def check_time(queue: FairQueue, job: Job, *, single_s: float, busy_s: Sequence[float]) -> None:
    """Raise OverloadedError unless ``job`` is expected to be done before its deadline.

    It starts once every worker has done what it does now and all have done, between them, what
    comes before the job in the fair order.

    :param single_s: what the job itself takes.
    :param busy_s: for each worker, what it still has to do now.
    """
    before_s = queue.served_before_s(job.robot, job.expected_s)
    needed_s = fill_level(busy_s, before_s) + single_s
    left_s = job.deadline_s - job.submitted_s
    if needed_s > left_s:
        raise OverloadedError(
            f'the reply would take {needed_s:.3f} s, the deadline leaves {left_s:.3f} s'
        )


def job_to_displace(
    queue: FairQueue, robot: str, *, running: int, max_jobs: int, active: int
) -> Job | None:
    """The waiting request that gives way to one of ``robot``, None if there is a place.

    Every active robot has an equal part of the places. What one holds beyond its part, because the
    others left theirs free, it gives back when they want them.

    :param running: requests that are being computed.
    :param active: robots that sent something lately.
    :raises OverloadedError: the robot's part is full, or there is no other to take a place from.
    """
    held, part = queue.held(robot), max(1, max_jobs // max(1, active))
    if held >= part:
        raise OverloadedError(
            f'{held} requests of {robot or "this robot"} are waiting, allowed: {part}, '
            f'its part of {max_jobs} among {active}'
        )
    total = len(queue) + running
    if total < max_jobs:
        return None
    most, most_held = queue.most_held()
    if most_held <= held + 1:
        raise OverloadedError(f'{total} requests are waiting, allowed: {max_jobs}')
    return queue.newest_of(most)


def fill_level(bottoms: Sequence[float], volume: float) -> float:
    """How high a volume fills vessels of width 1 with these bottoms that are joined."""
    ordered = sorted(bottoms)
    level = ordered[0]
    total = volume
    for count, bottom in enumerate(ordered, start=1):
        total += bottom
        level = total / count
        if count == len(ordered) or level <= ordered[count]:
            break
    return level
