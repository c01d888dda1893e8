from __future__ import annotations

import asyncio
import itertools
import math
from collections import defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.edge.server.admission import fill_level
from visionscaling_ros.edge.server.batching import MAX_BATCH_S, Batching
from visionscaling_ros.edge.server.compute_times import SETTLING, ComputeTimes
from visionscaling_ros.edge.server.fair_queue import FairQueue, Job
from visionscaling_ros.edge.server.model_runner import Workload
from visionscaling_ros.edge.wire.protocol import InferCall

SIZES = (1, 2, 4, 8)


def workload(model: str) -> Workload:
    return Workload(model, 320, 320)


@pytest.fixture(scope='module')
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@dataclass
class World:
    """A queue in front of workers whose every batch takes exactly what was expected of it."""

    loop: asyncio.AbstractEventLoop
    single_s: dict[str, float]
    batch_gain: float = 0.0  # share of the time of a batch's further requests that is saved
    workers: int = 1
    wrong_by: dict[str, float] = field(default_factory=dict)
    now_s: float = 0.0

    def __post_init__(self) -> None:
        times = ComputeTimes()
        for model in self.single_s:
            for size in SIZES:
                for _ in range(SETTLING):
                    times.add(workload(model), size, self.batch_s(model, size), 0.0)
        self.queue = FairQueue(Batching(times, 8, 0.0))
        self.served_s: defaultdict[str, float] = defaultdict(float)
        self.running: list[tuple[float, list[Job]]] = []

    def batch_s(self, model: str, size: int) -> float:
        return self.single_s[model] * (1.0 + (size - 1) * (1.0 - self.batch_gain))

    @property
    def quantum_s(self) -> float:
        """The longest a batch can take."""
        return max(
            took_s
            for model in self.single_s
            for size in SIZES
            if (took_s := self.batch_s(model, size)) <= MAX_BATCH_S or size == 1
        )

    def put(self, robot: str, model: str, deadline_s: float = math.inf) -> Job:
        call = InferCall(model, 320, b'', None, robot, 0, 0, 0, math.inf)
        job = Job(call, robot, workload(model), self.now_s, deadline_s, self.single_s[model],
                  self.loop.create_future())  # fmt: skip
        self.queue.put(job)
        return job

    def waiting(self) -> set[str]:
        return {job.robot for job in self.queue}

    def start(self) -> list[Job]:
        jobs = self.queue.take(self.now_s)
        assert isinstance(jobs, list)
        model = jobs[0].call.model
        assert {job.call.model for job in jobs} == {model}
        took_s = self.batch_s(model, len(jobs)) * self.wrong_by.get(model, 1.0)
        for job in jobs:
            self.served_s[job.robot] += took_s / len(jobs)
        self.running.append((self.now_s + took_s, jobs))
        return jobs

    def finish(self) -> None:
        end_s, jobs = min(self.running, key=lambda item: item[0])
        self.running.remove((end_s, jobs))
        took_s = self.batch_s(jobs[0].call.model, len(jobs))
        self.queue.settle(jobs, took_s * self.wrong_by.get(jobs[0].call.model, 1.0))
        self.now_s = end_s


costs = st.floats(0.001, 0.1)
robots = st.sampled_from('abcd')
models = st.sampled_from(['n', 'm', 'l'])


@settings(deadline=None, max_examples=200)
@given(
    counts=st.dictionaries(robots, st.tuples(models, st.integers(1, 30)), min_size=2),
    single_s=st.fixed_dictionaries({'n': costs, 'm': costs, 'l': costs}),
    gain=st.floats(0.0, 0.9),
)
def test_robots_with_work_from_the_start_get_the_same_time_but_for_one_batch(
    loop, counts, single_s, gain
) -> None:
    world = World(loop, single_s, gain)
    for robot, (model, count) in counts.items():
        for _ in range(count):
            world.put(robot, model)
    while len(world.queue):
        before = world.waiting()
        world.start()
        for one, other in itertools.combinations(before, 2):
            difference_s = abs(world.served_s[one] - world.served_s[other])
            assert difference_s <= world.quantum_s * (1 + 1e-6)
        world.finish()
        if before != world.waiting():
            break  # a robot that is done falls behind the others
    assert sum(world.served_s.values()) > 0.0


@settings(deadline=None, max_examples=200)
@given(
    events=st.lists(st.tuples(st.integers(0, 6), robots, models, st.integers(1, 5)),
                    min_size=1, max_size=60),
    single_s=st.fixed_dictionaries({'n': costs, 'm': costs, 'l': costs}),
    gain=st.floats(0.0, 0.9),
    workers=st.integers(1, 3),
)  # fmt: skip
def test_whatever_arrives_robots_that_both_wait_get_the_same_time(
    loop, events, single_s, gain, workers
) -> None:
    """Over any stretch in which both wait: at its two ends each may be one batch ahead."""
    world = World(loop, single_s, gain, workers)
    since: dict[tuple[str, str], float] = {}
    taken = 0

    def advance() -> None:
        nonlocal taken
        if len(world.running) == world.workers:
            world.finish()
        waiting = sorted(world.waiting())
        pairs = set(itertools.combinations(waiting, 2))
        for pair in set(since) - pairs:
            del since[pair]
        for one, other in pairs:
            since.setdefault((one, other), world.served_s[one] - world.served_s[other])
        taken += len(world.start())
        for (one, other), at_first_s in since.items():
            difference_s = world.served_s[one] - world.served_s[other] - at_first_s
            assert abs(difference_s) <= 2.0 * world.quantum_s * (1 + 1e-6)

    put = 0
    for steps, robot, model, count in events:
        for _ in range(count):
            world.put(robot, model)
            put += 1
        for _ in range(steps):
            if len(world.queue):
                advance()
    while len(world.queue):
        advance()
    assert taken == put


def test_a_wrong_prediction_costs_who_caused_it(loop) -> None:
    world = World(loop, {'n': 0.01, 'm': 0.01}, wrong_by={'m': 10.0})
    for _ in range(200):
        world.put('honest', 'n')
        world.put('slow', 'm')
    while {'honest', 'slow'} <= world.waiting():
        world.start()
        world.finish()
    assert world.served_s['honest'] == pytest.approx(world.served_s['slow'], rel=0.2)


def test_a_robot_that_was_away_has_no_credit_and_no_debt(loop) -> None:
    world = World(loop, {'n': 0.01})
    for _ in range(100):
        world.put('busy', 'n')
    for _ in range(50):
        world.start()
        world.finish()
    for _ in range(100):
        world.put('late', 'n')
    world.served_s.clear()
    for _ in range(40):
        world.start()
        world.finish()
    assert abs(world.served_s['busy'] - world.served_s['late']) <= world.quantum_s


def test_a_debt_is_remembered_while_others_wait(loop) -> None:
    """A robot with large requests, one at a time, gets no more than one with many small ones."""
    world = World(loop, {'n': 0.01, 'm': 0.2})
    for _ in range(500):
        world.put('small', 'n')
    for _ in range(200):
        if 'large' not in world.waiting():
            world.put('large', 'm')
        world.start()
        world.finish()
    assert abs(world.served_s['small'] - world.served_s['large']) <= world.quantum_s


def test_there_is_no_credit_for_waiting_for_a_result_either(loop) -> None:
    """While a long request runs, other workers go on: their time is not owed to its robot."""
    world = World(loop, {'n': 0.01, 'm': 1.0}, workers=3)
    for _ in range(400):
        world.put('busy', 'n')
    world.put('slow', 'm')
    while 'slow' in world.waiting():
        world.start()
    while any(jobs[0].robot == 'slow' for _, jobs in world.running):
        while len(world.running) < world.workers:
            world.start()
        world.finish()
    for _ in range(100):
        world.put('slow', 'n')
    world.served_s.clear()
    for _ in range(40):
        world.start()
        world.finish()
    assert abs(world.served_s['busy'] - world.served_s['slow']) <= world.quantum_s


def test_who_joins_others_batches_does_not_get_ahead(loop) -> None:
    world = World(loop, {'n': 0.01}, batch_gain=0.5)
    for _ in range(500):
        world.put('many', 'n')
    for _ in range(60):
        if 'one' not in world.waiting():
            world.put('one', 'n')
        world.start()
        world.finish()
    assert world.served_s['many'] - world.served_s['one'] <= 2.0 * world.quantum_s


def test_a_batch_takes_from_all_robots_alike(loop) -> None:
    world = World(loop, {'n': 0.01}, batch_gain=0.5)
    for robot in 'abcd':
        for _ in range(8):
            world.put(robot, 'n')
    jobs = world.start()
    assert sorted(job.robot for job in jobs) == list('aabbccdd')


def test_singles_where_batches_save_nothing(loop) -> None:
    world = World(loop, {'n': 0.01})
    for _ in range(8):
        world.put('a', 'n')
    assert len(world.start()) == 1


def test_a_batch_shrinks_rather_than_miss_a_deadline(loop) -> None:
    world = World(loop, {'n': 0.02}, batch_gain=0.5)
    for deadline_s in (0.04, *[math.inf] * 7):
        world.put('a', 'n', deadline_s)
    assert len(world.start()) == 2  # takes 30 ms; four would take 50 ms


def test_a_batch_keeps_the_others_waiting_no_longer_than_it_may(loop) -> None:
    world = World(loop, {'n': 0.04}, batch_gain=0.5)
    for _ in range(8):
        world.put('a', 'n')
    assert len(world.start()) == 4  # takes 100 ms; eight would take 180 ms


def test_requests_of_another_model_are_passed_over_not_lost(loop) -> None:
    world = World(loop, {'n': 0.01, 'm': 0.01}, batch_gain=0.5)
    for model in 'nmnmnm':
        world.put('a', model)
    sizes = []
    while len(world.queue):
        sizes.append(len(world.start()))
        world.finish()
    assert sum(sizes) == 6
    assert sizes[0] == 2


def test_a_removed_request_leaves_no_trace(loop) -> None:
    world = World(loop, {'n': 0.25})
    first, second = world.put('a', 'n'), world.put('a', 'n')
    assert world.queue.backlog_s == 0.5
    assert world.queue.remove(first)
    assert not world.queue.remove(first)
    assert (len(world.queue), world.queue.backlog_s, world.queue.held('a')) == (1, 0.25, 1)
    assert world.start() == [second]
    world.finish()
    assert world.queue.held('a') == 0
    assert world.queue.backlog_s == 0.0


def test_what_is_served_before_counts_others_only_up_to_the_same_amount(loop) -> None:
    world = World(loop, {'n': 1.0})
    for _ in range(10):
        world.put('flood', 'n')
    assert world.queue.served_before_s('flood', 1.0) == 10.0
    assert world.queue.served_before_s('new', 1.0) == 1.0
    world.put('new', 'n')
    assert world.queue.served_before_s('new', 1.0) == 3.0  # its own, and two of the flood


@given(
    bottoms=st.lists(st.floats(0.0, 10.0), min_size=1, max_size=5), volume=st.floats(0.0, 50.0)
)
def test_fill_level_holds_the_volume(bottoms, volume) -> None:
    level = fill_level(bottoms, volume)
    assert level >= min(bottoms) - 1e-9
    assert sum(max(0.0, level - bottom) for bottom in bottoms) == pytest.approx(volume, abs=1e-6)
