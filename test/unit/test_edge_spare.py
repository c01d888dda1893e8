"""A spare frame takes nothing from the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from visionscaling_ros.edge.bridge.bridge import EdgeBridge
from visionscaling_ros.edge.bridge.client import ReplyCallback
from visionscaling_ros.edge.bridge.pacer import Pacer
from visionscaling_ros.edge.wire.offload import FailureReason, OffloadFrame, OffloadOutcome
from visionscaling_ros.edge.wire.protocol import EdgeReply
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections

WAIT_S = 10.0
NOTHING = RelativeDetections(
    np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)
)


class HoldingClient:
    """Sends nothing anywhere; a test answers when it likes."""

    address = 'nowhere:1'

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.sent: list[tuple[OffloadFrame, ReplyCallback]] = []

    def attach(self, pacer: Pacer) -> None:
        self.pacer = pacer

    def submit(self, frame: OffloadFrame, timeout_s: float, on_reply: ReplyCallback) -> None:
        self.pacer.take(len(frame.payload))
        with self.changed:
            self.sent.append((frame, on_reply))
            self.changed.notify_all()

    def wait_sent(self, count: int) -> list[int]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.sent) >= count, WAIT_S)
            return [frame.frame_number for frame, _ in self.sent]

    def answer(self, index: int) -> None:
        self.sent[index][1](EdgeReply(NOTHING, 0.0, 0.001, 1.0))

    def probe(self, timeout_s: float) -> float:
        return 0.001

    def counters(self, timeout_s: float) -> dict:
        return {}

    def wire_times(self, asked_s: float, heard_s: float) -> tuple[float, float]:
        return asked_s, heard_s

    def drop_stuck(self) -> None:
        pass

    def drop_silent(self, since_s: float) -> None:
        pass

    def tcp_info(self) -> None:
        return None

    def close(self) -> None:
        pass


class Bench:
    def __init__(self) -> None:
        self.client = HoldingClient()
        self.changed = threading.Condition()
        self.outcomes: list[OffloadOutcome] = []
        self.bridge = EdgeBridge(self.client, on_outcome=self.take, max_in_flight=1)

    def take(self, outcome: OffloadOutcome) -> None:
        with self.changed:
            self.outcomes.append(outcome)
            self.changed.notify_all()

    def wait(self, predicate: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(predicate, WAIT_S), self.outcomes

    def submit(self, number: int, *, spare: bool) -> None:
        deadline_s = time.monotonic() + 60.0
        frame = OffloadFrame(number, 1, 'm', 64, b'x' * 1000, 64, 48, deadline_s, spare)
        self.bridge.submit(frame)

    def fates(self) -> dict[int, str]:
        return {outcome.frame.frame_number: outcome.reason for outcome in self.outcomes}


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.bridge.close()
    numbers = [outcome.frame.frame_number for outcome in made.outcomes]
    assert len(numbers) == len(set(numbers))


def test_it_is_sent_while_nothing_else_is(bench: Bench) -> None:
    bench.submit(1, spare=True)
    assert bench.client.wait_sent(1) == [1]
    bench.client.answer(0)
    bench.wait(lambda: bench.fates() == {1: ''})


def test_it_is_not_taken_while_another_frame_is_on_its_way(bench: Bench) -> None:
    bench.submit(1, spare=False)
    bench.client.wait_sent(1)
    bench.submit(2, spare=True)
    bench.wait(lambda: bench.fates() == {2: FailureReason.SUPERSEDED.value})
    bench.client.answer(0)
    bench.wait(lambda: bench.fates().get(1) == '')


def test_one_that_waits_for_the_pace_makes_way_for_any_other(bench: Bench) -> None:
    bench.submit(1, spare=False)
    bench.client.wait_sent(1)
    bench.bridge.set_tx_rate_bps(1.0)  # what is sent from now on has to be saved up for
    bench.client.answer(0)
    bench.wait(lambda: 1 in bench.fates())
    bench.submit(2, spare=True)
    bench.submit(3, spare=False)
    bench.wait(lambda: bench.fates().get(2) == FailureReason.SUPERSEDED.value)
    assert 3 not in bench.fates()
    bench.bridge.set_tx_rate_bps(0.0)
    assert bench.client.wait_sent(2) == [1, 3]
    bench.client.answer(1)
    bench.wait(lambda: bench.fates().get(3) == '')


def test_its_bytes_count(bench: Bench) -> None:
    bench.submit(1, spare=True)
    bench.client.wait_sent(1)
    assert bench.bridge.snapshot().sent_bytes == 1000
