from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import numpy as np
import pytest

from visionscaling_ros.edge.server.compute_times import SETTLING
from visionscaling_ros.edge.server.model_runner import RunResult, Workload
from visionscaling_ros.edge.server.scheduler import (
    THREAD_NAME,
    Computed,
    DrainingError,
    OverloadedError,
    Scheduler,
)
from visionscaling_ros.edge.server.scheduler_snapshot import WorkCounters
from visionscaling_ros.edge.server.work_books import MAX_ROBOTS, OTHERS
from visionscaling_ros.edge.wire.protocol import InferCall
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections
from visionscaling_ros.edge.wire.tensor_model import TensorSpec
from visionscaling_ros.errors import ImageFormatError, InvalidValueError, ModelError

PATIENCE_S = 20.0
NOTHING = RelativeDetections(
    np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)
)


class HeldRunner:
    """Runs what it is given once its gate is open, and says beforehand that it takes ``times_s``.

    Payloads: ``bad`` cannot be read, ``wrong`` is an error of its own, ``bug`` raises.
    """

    model_names = ('n', 'm')

    def __init__(self, **times_s: float) -> None:
        self.times_s = times_s
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.batches: list[list[str]] = []
        self.inside = 0
        self.most_inside = 0
        self.lock = threading.Lock()

    def class_names(self, model: str) -> tuple[str, ...]:
        return ('car',)

    def input_sizes_px(self, model: str) -> tuple[int, ...]:
        return (320,)

    def tensor_spec(self, model: str) -> TensorSpec | None:
        return None

    def workload(self, call: InferCall) -> Workload:
        if call.jpeg == b'bad':
            raise ImageFormatError('3 bytes are no image')
        return Workload(call.model, 320, 320)

    def warm_up(self) -> Mapping[Workload, float]:
        return {Workload(model, 320, 320): time_s for model, time_s in self.times_s.items()}

    def run(self, model: str, calls: Sequence[InferCall]) -> list[RunResult]:
        with self.lock:
            self.batches.append([call.robot_id for call in calls])
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        self.entered.release()
        assert self.gate.wait(PATIENCE_S)
        with self.lock:
            self.inside -= 1
        if any(call.jpeg == b'bug' for call in calls):
            raise ZeroDivisionError
        wrong = ModelError('not finite')
        return [wrong if call.jpeg == b'wrong' else NOTHING for call in calls]


def call(robot: str = 'a', model: str = 'n', jpeg: bytes = b'') -> InferCall:
    return InferCall(model, 320, jpeg, None, robot, 0, 0, 0, math.inf)


@contextlib.asynccontextmanager
async def scheduling(runner: HeldRunner, **options) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(runner, **{'max_batch': 1, **options})
    await scheduler.warm_up()
    try:
        yield scheduler
    finally:
        runner.gate.set()
        await asyncio.to_thread(scheduler.close, 0.0)


def ask(scheduler: Scheduler, request: InferCall, time_left_s: float = math.inf, **options):
    return asyncio.ensure_future(scheduler.infer(request, time_left_s, **options))


async def entered(runner: HeldRunner) -> None:
    assert await asyncio.to_thread(runner.entered.acquire, True, PATIENCE_S)


async def running_and_waiting(
    scheduler: Scheduler, runner: HeldRunner, waiting: Sequence[InferCall]
) -> list[asyncio.Future[Computed]]:
    """One request that runs and others behind it."""
    futures = [ask(scheduler, call())]
    await entered(runner)
    for request in waiting:
        futures.append(ask(scheduler, request))
        await asyncio.sleep(0)  # in this order
    assert sum(scheduler.snapshot().queued.values()) == len(waiting)
    return futures


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 3 * PATIENCE_S))


def test_a_request_that_cannot_be_done_in_time_is_refused_from_the_first_on() -> None:
    async def scenario() -> None:
        runner = HeldRunner(n=30.0)
        async with scheduling(runner) as scheduler:
            with pytest.raises(OverloadedError, match=r'take 30\.000 s.*leaves 10\.000 s'):
                await scheduler.infer(call(), 10.0)
            assert not runner.batches
            assert scheduler.snapshot().robots == {'a': WorkCounters(refused=1)}

    run(scenario)


def test_another_robots_backlog_counts_only_up_to_ones_own() -> None:
    async def scenario() -> None:
        runner = HeldRunner(n=60.0)
        async with scheduling(runner) as scheduler:
            futures = await running_and_waiting(scheduler, runner, [call('a')] * 8)
            with pytest.raises(OverloadedError, match='take'):
                await scheduler.infer(call('a'), 250.0)
            # what runs, one of a's, its own
            futures.append(ask(scheduler, call('b'), 250.0))
            await asyncio.sleep(0)
            assert not futures[-1].done()
            with pytest.raises(OverloadedError, match='take'):
                await scheduler.infer(call('c'), 100.0)
            runner.gate.set()
            await asyncio.gather(*futures)
            assert [robot for (robot,) in runner.batches].index('b') <= 2

    run(scenario)


def test_a_second_worker_halves_the_wait() -> None:
    async def scenario() -> None:
        runner = HeldRunner(n=60.0)
        async with scheduling(runner, workers=2) as scheduler:
            futures = [ask(scheduler, call('a')) for _ in range(2)]
            await entered(runner)
            await entered(runner)
            assert runner.most_inside == 2
            futures += [ask(scheduler, call('a')) for _ in range(2)]
            await asyncio.sleep(0)
            # 60 s of each worker, 120 s between both, and its own 60 s
            with pytest.raises(OverloadedError, match=r'take 1[78]\d\.'):
                await scheduler.infer(call('a'), 150.0)
            futures.append(ask(scheduler, call('a'), 200.0))
            runner.gate.set()
            await asyncio.gather(*futures)

    run(scenario)


def test_a_flooding_robot_gives_back_the_places_of_others() -> None:
    async def scenario() -> None:
        runner = HeldRunner(n=0.001)
        async with scheduling(runner, max_jobs=4) as scheduler:
            futures = await running_and_waiting(scheduler, runner, [call('a')] * 3)
            with pytest.raises(OverloadedError, match=r'4 requests of a .* allowed: 4'):
                await scheduler.infer(call('a'), math.inf)
            others = [ask(scheduler, call('b')) for _ in range(2)]
            for newest in (futures[3], futures[2]):
                with pytest.raises(OverloadedError, match='place'):
                    await newest
            with pytest.raises(OverloadedError, match=r'2 requests of b .*its part of 4 among 2'):
                await scheduler.infer(call('b'), math.inf)
            runner.gate.set()
            await asyncio.gather(*futures[:2], *others)
            robots = scheduler.snapshot().robots
            assert (robots['a'].done, robots['a'].dropped, robots['a'].refused) == (2, 2, 1)
            assert (robots['b'].done, robots['b'].dropped, robots['b'].refused) == (2, 0, 1)

    run(scenario)


def test_the_server_is_full_where_every_robot_has_its_part() -> None:
    async def scenario() -> None:
        runner = HeldRunner(n=0.001)
        async with scheduling(runner, max_jobs=3) as scheduler:
            waiting = [call('b'), call('c')]
            futures = await running_and_waiting(scheduler, runner, waiting)
            with pytest.raises(OverloadedError, match='3 requests are waiting, allowed: 3'):
                await scheduler.infer(call('d'), math.inf)
            runner.gate.set()
            await asyncio.gather(*futures)

    run(scenario)


def test_who_has_gone_is_not_computed_and_frees_the_place() -> None:
    async def scenario() -> None:
        runner = HeldRunner(n=0.001)
        async with scheduling(runner, max_jobs=2) as scheduler:
            first, gone = await running_and_waiting(scheduler, runner, [call('b')])
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone
            third = ask(scheduler, call('c'))
            await asyncio.sleep(0)
            runner.gate.set()
            await asyncio.gather(first, third)
            assert runner.batches == [['a'], ['c']]
            assert scheduler.snapshot().robots['b'] == WorkCounters(cancelled=1)

    run(scenario)


def test_a_request_whose_client_goes_while_it_runs_harms_nobody() -> None:
    async def scenario() -> None:
        runner = HeldRunner()
        async with scheduling(runner) as scheduler:
            gone, next_one = await running_and_waiting(scheduler, runner, [call('b')])
            gone.cancel()
            runner.gate.set()
            assert (await next_one).batch_size == 1
            assert scheduler.snapshot().robots['a'].done == 1

    run(scenario)


def test_a_request_whose_deadline_passes_while_it_waits_is_not_computed() -> None:
    async def scenario() -> None:
        runner = HeldRunner(n=1e-6)
        async with scheduling(runner) as scheduler:
            first = ask(scheduler, call())
            await entered(runner)
            late = ask(scheduler, call('b'), 1.0)
            end_s = time.monotonic() + 1.01
            await asyncio.sleep(0)
            if late.done():
                pytest.skip('this machine is too slow: it was refused')
            await asyncio.sleep(end_s - time.monotonic())
            runner.gate.set()
            await first
            with pytest.raises(OverloadedError, match=r'cannot be met after 1\.\d+ s in the'):
                await late
            assert runner.batches == [['a']]
            assert scheduler.snapshot().robots['b'].dropped == 1

    run(scenario)


def test_what_comes_together_is_batched_by_workload() -> None:
    async def scenario() -> None:
        runner = HeldRunner(n=0.001, m=0.001)
        async with scheduling(runner, max_batch=4) as scheduler:
            waiting = [call(robot, model) for robot in 'bcd' for model in 'nm']
            futures = await running_and_waiting(scheduler, runner, waiting)
            runner.gate.set()
            done = await asyncio.gather(*futures)
            assert max(computed.batch_size for computed in done) == 2  # sizes nobody knows yet
            assert sorted(map(len, runner.batches)) == [1, 1, 1, 2, 2]
            snapshot = scheduler.snapshot()
            assert snapshot.batch_sizes == {'n': {1: 2, 2: 1}, 'm': {1: 1, 2: 1}}
            assert {name: work.done for name, work in snapshot.models.items()} == {'n': 4, 'm': 3}
            assert not snapshot.queued
            assert not snapshot.running
            assert snapshot.queued_s == 0.0

    run(scenario)


@pytest.mark.parametrize('fault', [b'wrong', b'bug'])
def test_what_is_wrong_with_one_spoils_no_other_of_its_batch(fault: bytes) -> None:
    async def scenario() -> None:
        runner = HeldRunner(n=0.001)
        async with scheduling(runner, max_batch=2) as scheduler:
            waiting = [call('b', jpeg=fault), call('c')]
            _, bad, good = await running_and_waiting(scheduler, runner, waiting)
            runner.gate.set()
            assert (await good).detections is NOTHING
            with pytest.raises(ModelError if fault == b'wrong' else ZeroDivisionError):
                await bad
            assert runner.batches[1] == ['b', 'c']
            assert scheduler.snapshot().robots['b'].failed == 1

    run(scenario)


def test_a_request_that_cannot_be_read_is_refused_before_it_waits() -> None:
    async def scenario() -> None:
        runner = HeldRunner()
        async with scheduling(runner) as scheduler:
            with pytest.raises(ImageFormatError, match='no image'):
                await scheduler.infer(call(jpeg=b'bad'), math.inf)
            assert not runner.batches

    run(scenario)


def test_closing_finishes_what_was_taken_and_takes_no_more() -> None:
    async def scenario() -> None:
        runner = HeldRunner()
        async with scheduling(runner) as scheduler:
            futures = await running_and_waiting(scheduler, runner, [call('b')] * 3)
            closing = asyncio.ensure_future(asyncio.to_thread(scheduler.close, PATIENCE_S))
            refused = False
            while not refused:  # until it has begun
                late = ask(scheduler, call('c'), 1e-9)
                await asyncio.wait([late])
                refused = isinstance(late.exception(), DrainingError)
            runner.gate.set()
            await asyncio.gather(*futures)
            await closing
        assert not any(thread.name.startswith(THREAD_NAME) for thread in threading.enumerate())

    run(scenario)


def test_closing_fails_what_there_was_no_time_for() -> None:
    async def scenario() -> None:
        runner = HeldRunner()
        async with scheduling(runner) as scheduler:
            first, second = await running_and_waiting(scheduler, runner, [call('b')])
            closing = asyncio.ensure_future(asyncio.to_thread(scheduler.close, 0.0))
            with pytest.raises(DrainingError):
                await second
            runner.gate.set()
            assert (await first).detections is NOTHING  # it was under way
            await closing
            assert runner.batches == [['a']]

    run(scenario)


def test_a_model_that_hangs_does_not_keep_the_server_from_stopping() -> None:
    async def scenario() -> None:
        runner = HeldRunner()
        async with scheduling(runner) as scheduler:
            hanging, waiting = await running_and_waiting(scheduler, runner, [call('b')])
            await asyncio.to_thread(scheduler.close, 0.0)
            for request in (waiting, hanging):
                with pytest.raises(DrainingError, match='no time left'):
                    await request

    run(scenario)


def test_a_model_that_cannot_be_loaded_is_told_and_no_thread_stays() -> None:
    class Broken(HeldRunner):
        def warm_up(self) -> Mapping[Workload, float]:
            raise ModelError('weights.bin is not there')

    async def scenario() -> None:
        with pytest.raises(ModelError, match='is not there'):
            await Scheduler(Broken(), workers=2).warm_up()
        assert not any(thread.name.startswith(THREAD_NAME) for thread in threading.enumerate())

    run(scenario)


def test_who_asks_may_be_told_apart_by_more_than_what_it_says() -> None:
    async def scenario() -> None:
        runner = HeldRunner()
        runner.gate.set()
        async with scheduling(runner) as scheduler:
            await scheduler.infer(call('says'), math.inf, robot='proven')
            await scheduler.infer(call('says'), math.inf)
            assert set(scheduler.snapshot().robots) == {'proven', 'says'}
            assert scheduler.share('says', time.monotonic()) > 0.5  # proven used next to nothing

    run(scenario)


def test_names_without_end_cost_no_memory_without_end() -> None:
    async def scenario() -> None:
        runner = HeldRunner()
        runner.gate.set()
        async with scheduling(runner) as scheduler:
            for number in range(MAX_ROBOTS + 10):
                await scheduler.infer(call(f'robot{number}'), math.inf)
            robots = scheduler.snapshot().robots
            assert len(robots) == MAX_ROBOTS + 1
            assert robots[OTHERS].done == 10

    run(scenario)


def test_batches_that_save_time_are_found_out() -> None:
    """The runner takes as long for a batch as for one: larger ones win, by measurement."""

    class Steady(HeldRunner):
        def run(self, model: str, calls: Sequence[InferCall]) -> list[RunResult]:
            time.sleep(0.004)
            return super().run(model, calls)

    async def scenario() -> None:
        runner = Steady(n=0.004)
        runner.gate.set()
        async with scheduling(runner, max_batch=4) as scheduler:
            for _ in range(3 * SETTLING):
                await asyncio.gather(*(scheduler.infer(call(robot), math.inf) for robot in 'abcd'))
            sizes = scheduler.snapshot().batch_sizes['n']
            assert sizes[2] >= SETTLING
            assert sizes[4] >= 1

    run(scenario)


@pytest.mark.parametrize('option', ['max_jobs', 'max_batch', 'workers'])
def test_numbers_that_make_no_sense_are_named(option: str) -> None:
    with pytest.raises(InvalidValueError, match=f'{option} = 0 is not allowed'):
        Scheduler(HeldRunner(), **{option: 0})
    with pytest.raises(InvalidValueError, match='batch_delay_s = -1'):
        Scheduler(HeldRunner(), batch_delay_s=-1.0)
