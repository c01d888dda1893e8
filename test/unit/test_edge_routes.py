"""Which server gets the frames, and when they go back to a better one."""

from __future__ import annotations

import math

import pytest

from visionscaling_ros.edge.bridge.link_monitor import SentRequest
from visionscaling_ros.edge.bridge.route import (
    ASK_AGAIN_S,
    FLAP_WINDOW_S,
    NOT_REACHED,
    RETURN_S,
    Route,
)
from visionscaling_ros.edge.bridge.routes import Routes
from visionscaling_ros.edge.wire.offload import FailureReason, OffloadError
from visionscaling_ros.edge.wire.protocol import EdgeReply

AWAY = OffloadError(FailureReason.UNAVAILABLE, 'connection refused')
SILENT = OffloadError(FailureReason.TIMEOUT, 'no answer in time')
FORBIDDEN = OffloadError(FailureReason.UNAUTHORIZED, 'no such token')


class NoClient:
    """An EdgeClient that is never asked anything."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.dropped = 0

    def drop_stuck(self) -> None:
        self.dropped += 1

    def drop_silent(self, since_s: float) -> None:
        self.silent_since_s = since_s

    def tcp_info(self) -> None:
        return None

    def wire_times(self, asked_s: float, heard_s: float) -> tuple[float, float]:
        return asked_s, heard_s


def make_routes(*names: str) -> tuple[Routes, list[Route]]:
    routes = [Route(NoClient(name), 3, 0.0) for name in names]
    return Routes(routes), routes


def come_up(route: Route, now_s: float) -> None:
    route.probe_succeeded(0.001, now_s, idle=True)
    route.probe_succeeded(0.001, now_s, idle=True)


def go_down(route: Route, now_s: float) -> None:
    route.probe_failed(AWAY, now_s, now_s)


def send(route: Route, key: int, now_s: float) -> tuple[int, SentRequest]:
    sent = SentRequest('m', 1000, now_s)
    return route.request_started(key, sent), sent


def test_nothing_is_sent_before_a_server_was_reached() -> None:
    routes, (first, _) = make_routes('a:1', 'b:1')
    assert routes.select(0.0) is None
    assert routes.all_open
    assert first.status().problem == NOT_REACHED


def test_the_first_server_that_is_well_gets_the_frames() -> None:
    routes, (first, second) = make_routes('a:1', 'b:1')
    come_up(second, 0.0)
    assert routes.select(0.0) is second
    assert routes.rank == 1
    come_up(first, 0.1)  # it was never lost: no need to wait
    assert routes.select(0.1) is first
    assert routes.rank == 0
    assert first.status().problem == ''


def test_a_lost_server_gets_them_back_only_after_it_was_well_for_a_while() -> None:
    routes, (first, second) = make_routes('a:1', 'b:1')
    come_up(first, 0.0)
    come_up(second, 0.0)
    assert routes.select(0.0) is first
    go_down(first, 10.0)
    assert first.status().problem == 'connection refused'
    assert routes.select(10.0) is second
    come_up(first, 20.0)
    assert routes.select(20.0 + 0.9 * RETURN_S) is second
    assert routes.select(20.0 + RETURN_S) is first


def test_one_that_comes_and_goes_is_waited_for_ever_longer() -> None:
    routes, (first, second) = make_routes('a:1', 'b:1')
    come_up(first, 0.0)
    come_up(second, 0.0)
    for index in range(3):
        go_down(first, 1.0 + index)
        assert routes.select(1.2 + index) is second
        come_up(first, 1.5 + index)
    assert routes.select(3.6) is second
    assert routes.select(3.5 + 3.9 * RETURN_S) is second
    assert routes.select(3.5 + 4.0 * RETURN_S) is first
    go_down(first, 100.0 + FLAP_WINDOW_S)  # the earlier ones are forgotten by now
    assert routes.select(100.0 + FLAP_WINDOW_S) is second
    come_up(first, 200.0)
    assert routes.select(200.0 + RETURN_S) is first


def test_where_the_other_is_away_too_a_returning_one_is_used_at_once() -> None:
    routes, (first, second) = make_routes('a:1', 'b:1')
    come_up(first, 0.0)
    go_down(first, 1.0)
    first.probe_succeeded(0.001, 1.2, idle=True)
    assert routes.select(1.2) is first
    ticket, _ = send(first, 0, 1.2)
    assert routes.select(1.2) is None  # its trial is on its way
    come_up(second, 1.3)
    assert routes.select(1.3) is second
    first.request_failed(0, ticket, SILENT, 2.2)
    assert first.client.dropped == 1
    assert routes.select(2.2) is second


def test_a_server_that_does_not_let_the_robot_in_is_asked_rarely_until_it_does() -> None:
    routes, (first, second) = make_routes('a:1', 'b:1')
    come_up(first, 0.0)
    come_up(second, 0.0)
    ticket, _ = send(first, 0, 1.0)
    first.request_failed(0, ticket, FORBIDDEN, 1.1)
    assert first.status().problem == 'no such token'
    for now_s in (1.2, 2.0, 3.0):
        first.probe_succeeded(0.001, now_s, idle=True)  # alive, but no better for it
        assert routes.select(now_s) is second
    assert first.status().problem == 'no such token'
    again_s = 1.0 + ASK_AGAIN_S
    assert routes.select(again_s) is first
    _, sent = send(first, 1, again_s)
    assert routes.select(again_s + 0.1) is second
    first.request_answered(1, sent, EdgeReply(None, 0.0, 0.0, 1.0), again_s + 0.2)
    assert first.status().problem == ''
    assert routes.select(again_s + 0.3 + RETURN_S) is first


def test_an_only_server_that_forbids_gets_a_frame_with_every_sign_of_life() -> None:
    routes, (only,) = make_routes('a:1')
    come_up(only, 0.0)
    ticket, _ = send(only, 0, 1.0)
    only.request_failed(0, ticket, FORBIDDEN, 1.1)
    assert routes.select(1.2) is None
    only.probe_succeeded(0.001, 2.0, idle=True)
    assert routes.select(2.0) is only


def test_a_refusal_is_a_sign_of_life() -> None:
    _, (route,) = make_routes('a:1')
    come_up(route, 0.0)
    for key in range(10):
        ticket, _ = send(route, key, 1.0)
        route.request_failed(key, ticket, OffloadError(FailureReason.REFUSED, 'full'), 1.1)
    assert route.breaker.may_send()
    assert route.monitor.read(2.0).loss == 0.0


def test_estimates_start_when_there_is_something_to_estimate_from() -> None:
    _, (route,) = make_routes('a:1')
    reading = route.monitor.read(1.0)
    for name in ('capacity_bps', 'capacity_low_bps', 'rtt_s', 'rtt_deviation_s', 'loss',
                 'server_queue_s', 'server_share', 'server_share_age_s'):  # fmt: skip
        assert math.isnan(getattr(reading, name)), name
    assert reading.capacity_age_s == math.inf
    _, sent = send(route, 0, 1.0)
    route.request_answered(0, sent, EdgeReply(None, 0.01, 0.02, 0.25), 1.1)
    reading = route.monitor.read(2.0)
    assert reading.capacity_low_bps < reading.capacity_bps < reading.capacity_high_bps
    assert (reading.loss, reading.server_share) == (0.0, 0.25)
    assert reading.server_share_age_s == pytest.approx(0.9)
    assert reading.goodput_bps == pytest.approx(8000.0)
    assert not route.monitor.wants_counters
    _, sent = send(route, 1, 2.0)
    route.request_answered(1, sent, EdgeReply(None), 2.1)  # a stock server's
    assert route.monitor.wants_counters
    assert route.monitor.read(3.0).server_share == 0.25
