from __future__ import annotations

import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from visionscaling_ros.edge.bridge.bridge import EdgeBridge
from visionscaling_ros.edge.bridge.pacer import Pacer
from visionscaling_ros.edge.wire.offload import (
    FailureReason,
    OffloadError,
    OffloadFrame,
    OffloadOutcome,
)
from visionscaling_ros.edge.wire.protocol import REQUEST_OVERHEAD_BYTES, EdgeReply
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections
from visionscaling_ros.errors import InvalidValueError

PATIENCE_S = 20.0


def make_frame(number: int, *, left_s: float = 60.0, size_bytes: int = 1000) -> OffloadFrame:
    return OffloadFrame(
        number, 1, 'tiny', 320, bytes(size_bytes), 640, 480, time.monotonic() + left_s
    )


def make_reply() -> EdgeReply:
    boxes = np.array([[0.25, 0.5, 0.5, 1.0]], np.float32)
    found = RelativeDetections(boxes, np.array([0.75], np.float32), np.array([2]))
    return EdgeReply(found, queue_s=0.001, compute_s=0.002, share=0.5)


class HandDrivenClient:
    """An EdgeClient whose server is the test: it takes requests and answers them as it likes."""

    def __init__(self, address: str = 'test:1') -> None:
        self.address = address
        self.requests: queue.Queue[tuple[OffloadFrame, Callable]] = queue.Queue()
        self.probes = 0
        self.alive = True
        self.closed = threading.Event()

    def attach(self, pacer: Pacer) -> None:
        self.pacer = pacer

    def submit(self, frame, timeout_s, on_reply) -> None:
        self.pacer.take(len(frame.payload) + REQUEST_OVERHEAD_BYTES)
        self.requests.put((frame, on_reply))

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

    def probe(self, timeout_s: float) -> float:
        self.probes += 1
        if not self.alive:
            raise OffloadError(FailureReason.UNAVAILABLE, 'away')
        return 0.001

    def close(self) -> None:
        self.closed.set()

    def take(self) -> tuple[OffloadFrame, Callable]:
        return self.requests.get(timeout=PATIENCE_S)


def wait_until(condition: Callable[[], object]) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0.002)


class Rig:
    def __init__(self, **options) -> None:
        self.client = HandDrivenClient()
        self.outcomes: queue.Queue[OffloadOutcome] = queue.Queue()
        options = {'probe_interval_s': 0.02, **options}
        self.bridge = EdgeBridge(self.client, on_outcome=self.outcomes.put, **options)

    def outcome(self) -> OffloadOutcome:
        return self.outcomes.get(timeout=PATIENCE_S)

    def wait_until_circuit(self, state: str) -> None:
        wait_until(lambda: self.bridge.snapshot().circuit == state)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    made.wait_until_circuit('closed')
    yield made
    made.bridge.close()


def test_an_answer_comes_back_in_source_pixels(rig: Rig) -> None:
    frame = make_frame(1)
    rig.bridge.submit(frame)
    sent, on_reply = rig.client.take()
    assert sent is frame
    assert rig.bridge.snapshot().in_flight == 1
    on_reply(make_reply())
    outcome = rig.outcome()
    assert (outcome.frame, outcome.answered, outcome.reason) == (frame, True, '')
    assert outcome.detections.boxes_px.tolist() == [[160.0, 240.0, 320.0, 480.0]]
    assert (outcome.queue_s, outcome.compute_s) == (0.001, 0.002)
    assert outcome.upload_bytes > 1000
    snapshot = rig.bridge.snapshot()
    assert (snapshot.accepted, snapshot.answered, snapshot.failed) == (1, 1, 0)
    assert snapshot.in_flight == 0
    assert snapshot.sent_bytes == outcome.upload_bytes
    assert snapshot.server_share == 0.5
    assert snapshot.server_compute_s == pytest.approx(0.002)
    assert snapshot.rtt_s == 0.001
    assert snapshot.capacity_bps > 0.0
    assert math.isnan(rig.bridge.snapshot().server_compute_s)  # nothing since


def test_the_newest_frames_win(rig: Rig) -> None:
    for number in range(10):
        rig.bridge.submit(make_frame(number))
        if number < 4:
            assert rig.client.take()[0].frame_number == number
    superseded = [rig.outcome() for _ in range(4)]
    assert [outcome.frame.frame_number for outcome in superseded] == [4, 5, 6, 7]
    assert {outcome.reason for outcome in superseded} == {'superseded'}
    assert {outcome.upload_bytes for outcome in superseded} == {0}
    assert rig.client.requests.empty()
    assert rig.bridge.snapshot().in_flight == 4


def test_a_reply_frees_a_place_for_the_next(rig: Rig) -> None:
    replies = []
    for number in range(4):
        rig.bridge.submit(make_frame(number))
        replies.append(rig.client.take()[1])
    rig.bridge.submit(make_frame(4))
    replies[2](make_reply())
    assert rig.outcome().frame.frame_number == 2
    assert rig.client.take()[0].frame_number == 4


def test_a_frame_past_its_deadline_is_not_sent(rig: Rig) -> None:
    rig.bridge.submit(make_frame(1, left_s=-0.1))
    assert rig.outcome().reason == 'deadline'
    rig.bridge.set_tx_rate_bps(1000.0)
    rig.bridge.submit(make_frame(2))
    rig.client.take()  # leaves a debt of ten seconds
    rig.bridge.submit(make_frame(3, left_s=0.05))
    outcome = rig.outcome()
    assert (outcome.frame.frame_number, outcome.reason) == (3, 'deadline')
    assert rig.client.requests.empty()


def test_a_frame_that_would_be_late_waits_for_those_before_it(rig: Rig) -> None:
    rig.bridge.submit(make_frame(0, size_bytes=100_000))
    _, on_reply = rig.client.take()
    time.sleep(0.1)  # the link now looks like 8 Mbit/s at most: the quantity under test
    on_reply(make_reply())
    rig.outcome()
    rig.bridge.submit(make_frame(1, size_bytes=100_000))
    _, on_reply = rig.client.take()
    rig.bridge.submit(make_frame(2, left_s=0.01, size_bytes=1_000_000))
    outcome = rig.outcome()
    assert (outcome.frame.frame_number, outcome.reason) == (2, 'deadline')
    assert rig.client.requests.empty()


@pytest.mark.parametrize(
    'reason', [FailureReason.TIMEOUT, FailureReason.UNAVAILABLE, FailureReason.BAD_REPLY]
)
def test_failures_open_the_circuit(reason: FailureReason) -> None:
    rig = Rig(max_failures=2, probe_interval_s=60.0)
    try:
        rig.wait_until_circuit('half_open')
        rig.bridge.submit(make_frame(0))
        rig.client.take()[1](make_reply())
        assert rig.outcome().answered
        for number in (1, 2):
            rig.bridge.submit(make_frame(number))
            rig.client.take()[1](OffloadError(reason, 'no'))
            outcome = rig.outcome()
            assert (outcome.reason, outcome.message) == (reason.value, 'no')
        rig.bridge.submit(make_frame(3))
        assert rig.outcome().reason == 'edge_unreachable'
        assert rig.client.requests.empty()
        assert not rig.bridge.snapshot().reachable
    finally:
        rig.bridge.close()


def test_refusals_do_not_open_the_circuit(rig: Rig) -> None:
    for number in range(10):
        rig.bridge.submit(make_frame(number))
        rig.client.take()[1](OffloadError(FailureReason.REFUSED, 'full'))
        assert rig.outcome().reason == 'refused'
    assert rig.bridge.snapshot().circuit == 'closed'


def test_probes_open_and_close_the_circuit(rig: Rig) -> None:
    rig.client.alive = False
    rig.wait_until_circuit('open')
    rig.bridge.submit(make_frame(0))
    assert rig.outcome().reason == 'edge_unreachable'
    rig.client.alive = True
    rig.wait_until_circuit('closed')
    rig.bridge.submit(make_frame(1))
    rig.client.take()[1](make_reply())
    assert rig.outcome().answered


def test_a_client_that_never_calls_back_costs_only_the_frame(rig: Rig) -> None:
    rig.bridge.submit(make_frame(0, left_s=0.05))
    _, on_reply = rig.client.take()
    assert rig.outcome().reason == 'timeout'
    on_reply(make_reply())  # too late
    on_reply(make_reply())
    rig.bridge.submit(make_frame(1))
    rig.client.take()[1](make_reply())
    assert rig.outcome().frame.frame_number == 1
    assert rig.outcomes.empty()


def test_a_client_that_raises_costs_only_the_frame(rig: Rig) -> None:
    real_submit = rig.client.submit
    rig.client.submit = lambda *_: 1 / 0
    rig.bridge.submit(make_frame(0))
    outcome = rig.outcome()
    assert outcome.reason == 'unavailable'
    assert 'ZeroDivisionError' in outcome.message
    rig.client.submit = real_submit
    rig.bridge.submit(make_frame(1))
    rig.client.take()[1](make_reply())
    assert rig.outcome().answered


def test_a_listener_that_raises_costs_nothing() -> None:
    heard: queue.Queue[int] = queue.Queue()

    def listen(outcome: OffloadOutcome) -> None:
        heard.put(outcome.frame.frame_number)
        raise RuntimeError('listener')

    bridge = EdgeBridge(HandDrivenClient(), on_outcome=listen)
    bridge.submit(make_frame(0, left_s=-1.0))
    bridge.submit(make_frame(1, left_s=-1.0))
    assert [heard.get(timeout=PATIENCE_S) for _ in range(2)] == [0, 1]
    bridge.close()


def test_closing_fails_everything_and_leaves_no_thread() -> None:
    before = threading.active_count()
    rig = Rig()
    rig.wait_until_circuit('closed')
    for number in range(6):
        rig.bridge.submit(make_frame(number))
        if number < 4:
            rig.client.take()
    rig.bridge.close()
    rig.bridge.close()
    assert rig.client.closed.is_set()
    rig.bridge.submit(make_frame(6))
    outcomes = [rig.outcomes.get_nowait() for _ in range(7)]
    assert Counter(outcome.reason for outcome in outcomes) == {'shutdown': 7}
    assert sorted(outcome.frame.frame_number for outcome in outcomes) == list(range(7))
    snapshot = rig.bridge.snapshot()
    assert (snapshot.accepted, snapshot.failed, snapshot.in_flight) == (7, 7, 0)
    assert threading.active_count() == before


def test_frames_go_to_the_next_server_while_the_first_is_away() -> None:
    first, second = HandDrivenClient('first:1'), HandDrivenClient('second:1')
    first.alive = False
    outcomes: queue.Queue[OffloadOutcome] = queue.Queue()
    bridge = EdgeBridge(first, second, on_outcome=outcomes.put, probe_interval_s=0.02)
    try:
        wait_until(lambda: bridge.snapshot().circuit == 'closed')
        assert bridge.snapshot().server_rank == 1
        bridge.submit(make_frame(0))
        second.take()[1](make_reply())
        assert outcomes.get(timeout=PATIENCE_S).answered
        statuses = bridge.servers()
        assert [status.address for status in statuses] == ['first:1', 'second:1']
        assert [status.problem for status in statuses] == ['away', '']
        first.alive = True
        wait_until(lambda: bridge.snapshot().server == 'first:1')
        bridge.submit(make_frame(1))
        first.take()[1](make_reply())
        assert outcomes.get(timeout=PATIENCE_S).answered
    finally:
        bridge.close()


def test_a_frame_that_fails_comes_back_instead_of_going_to_another_server() -> None:
    first, second = HandDrivenClient('first:1'), HandDrivenClient('second:1')
    outcomes: queue.Queue[OffloadOutcome] = queue.Queue()
    bridge = EdgeBridge(first, second, on_outcome=outcomes.put, probe_interval_s=0.02)
    try:
        wait_until(lambda: bridge.snapshot().server == 'first:1')
        wait_until(lambda: bridge.snapshot().circuit == 'closed')
        bridge.submit(make_frame(0))
        first.take()[1](OffloadError(FailureReason.UNAVAILABLE, 'connection refused'))
        outcome = outcomes.get(timeout=PATIENCE_S)
        assert (outcome.reason, outcome.message) == ('unavailable', 'connection refused')
        assert second.requests.empty()
    finally:
        bridge.close()


def test_other_servers_take_over_at_run_time_and_every_frame_has_its_outcome(rig: Rig) -> None:
    before = threading.active_count()
    rig.bridge.submit(make_frame(0))
    old = rig.client
    _, on_reply = old.take()
    new = HandDrivenClient('new:1')
    rig.bridge.set_clients(new)
    assert old.closed.is_set()
    on_reply(OffloadError(FailureReason.SHUTDOWN, 'closed'))
    assert rig.outcome().reason == 'shutdown'
    wait_until(lambda: rig.bridge.snapshot().circuit == 'closed')
    assert rig.bridge.snapshot().server == 'new:1'
    rig.bridge.submit(make_frame(1))
    new.take()[1](make_reply())
    assert rig.outcome().answered
    snapshot = rig.bridge.snapshot()
    assert (snapshot.accepted, snapshot.answered, snapshot.failed) == (2, 1, 1)
    for _ in range(100):
        rig.bridge.set_clients(HandDrivenClient())
    assert threading.active_count() == before


def test_a_closed_bridge_closes_the_clients_it_is_given(rig: Rig) -> None:
    rig.bridge.close()
    late = HandDrivenClient()
    rig.bridge.set_clients(late)
    assert late.closed.is_set()


def test_a_bridge_needs_a_server() -> None:
    with pytest.raises(InvalidValueError, match='clients'):
        EdgeBridge(on_outcome=print)


def test_a_server_that_does_not_let_the_robot_in_is_not_sent_to() -> None:
    rig = Rig(probe_interval_s=60.0)
    try:
        rig.wait_until_circuit('half_open')
        rig.bridge.submit(make_frame(0))
        rig.client.take()[1](OffloadError(FailureReason.UNAUTHORIZED, 'no such token'))
        assert rig.outcome().reason == 'unauthorized'
        assert rig.bridge.servers()[0].problem == 'no such token'
        rig.bridge.submit(make_frame(1))
        assert rig.outcome().reason == 'edge_unreachable'
        assert rig.client.requests.empty()
    finally:
        rig.bridge.close()


def test_more_may_be_on_their_way_at_once(rig: Rig) -> None:
    rig.bridge.set_max_in_flight(1)
    rig.bridge.submit(make_frame(0))
    rig.client.take()
    rig.bridge.submit(make_frame(1))
    rig.bridge.set_max_in_flight(2)
    assert rig.client.take()[0].frame_number == 1


def test_a_frame_the_pace_would_make_late_is_not_begun(rig: Rig) -> None:
    rig.bridge.set_tx_rate_bps(8000.0)  # 1000 bytes a slot of a second
    rig.bridge.submit(make_frame(0, size_bytes=10_000, left_s=0.3))
    assert rig.outcome().reason == 'deadline'
    assert rig.client.requests.empty()
    assert rig.bridge.snapshot().sent_bytes == 0


def test_signs_of_life_are_asked_for_rarely_while_nothing_is_sent() -> None:
    rig = Rig(idle_probe_interval_s=60.0)
    try:
        rig.wait_until_circuit('closed')
        probes = rig.client.probes
        assert rig.bridge.snapshot().reachable
        rig.bridge.submit(make_frame(0))
        wait_until(lambda: rig.client.probes > probes + 3)  # 0.02 s apart again
    finally:
        rig.bridge.close()


@pytest.mark.parametrize('left_s', [math.inf, math.nan])
def test_a_frame_needs_a_deadline(left_s: float) -> None:
    with pytest.raises(InvalidValueError, match='deadline_monotonic_s'):
        make_frame(1, left_s=left_s)


def test_a_refused_rate_keeps_the_old_one(rig: Rig) -> None:
    rig.bridge.set_tx_rate_bps(5e5)
    with pytest.raises(InvalidValueError, match='tx_rate_bps'):
        rig.bridge.set_tx_rate_bps(-1.0)
    assert rig.bridge.snapshot().tx_rate_bps == 5e5
    rig.bridge.set_tx_rate_bps(math.inf)
    assert rig.bridge.snapshot().tx_rate_bps == 0.0


def test_the_sender_keeps_to_its_rate(rig: Rig) -> None:
    """Bytes over the time they took; the clock is the one the server would read."""
    rate_bps = 4e6
    rig.bridge.set_tx_rate_bps(rate_bps)
    sent_at_s: list[float] = []
    sent_bits = 0.0
    number = 0
    while number < 60:
        rig.bridge.submit(make_frame(number, size_bytes=5000))
        number += 1
        _, on_reply = rig.client.take()
        sent_at_s.append(time.monotonic())
        on_reply(make_reply())
        outcome = rig.outcome()
        sent_bits += 8.0 * outcome.upload_bytes
    rate_seen_bps = sent_bits * 59 / 60 / (sent_at_s[-1] - sent_at_s[0])
    assert rate_seen_bps < 1.15 * rate_bps  # the burst allowance included
    assert rate_seen_bps > 0.4 * rate_bps  # a busy machine sends later, never earlier


def test_every_frame_has_one_outcome_whatever_happens() -> None:
    """Several submitters against a server that answers, refuses, garbles, is silent or away."""
    rig = Rig(max_failures=2, probe_interval_s=0.005)
    stop = threading.Event()
    random = np.random.default_rng(1)
    reasons = list(FailureReason)

    def serve() -> None:
        while not stop.is_set():
            try:
                _, on_reply = rig.client.requests.get(timeout=0.01)
            except queue.Empty:
                continue
            fate = random.random()
            if fate < 0.7:
                on_reply(make_reply())
            elif fate < 0.9:
                on_reply(OffloadError(reasons[random.integers(len(reasons))], 'no'))
            if fate > 0.6:
                rig.client.alive = random.random() < 0.7
            if fate < 0.1:
                on_reply(make_reply())  # and a second time

    def submit(first: int) -> None:
        for number in range(first, first + 300):
            rig.bridge.submit(make_frame(number, left_s=0.02))
            if number % 10 == 0:
                stop.wait(0.01)

    server = threading.Thread(target=serve)
    submitters = [threading.Thread(target=submit, args=(first,)) for first in (0, 300, 600)]
    for thread in (server, *submitters):
        thread.start()
    for thread in submitters:
        thread.join()
    rig.bridge.close()
    stop.set()
    server.join()
    outcomes = [rig.outcomes.get_nowait() for _ in range(rig.outcomes.qsize())]
    assert sorted(outcome.frame.frame_number for outcome in outcomes) == list(range(900))
    answered = sum(outcome.answered for outcome in outcomes)
    snapshot = rig.bridge.snapshot()
    assert (snapshot.accepted, snapshot.answered) == (900, answered)
    assert snapshot.failed == 900 - answered
    assert 0 < answered < 900
