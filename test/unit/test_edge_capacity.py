from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.edge.capacity_estimator import RESOLUTION_S, CapacityEstimator

RTT_S = 0.004


class SimulatedLink:
    """Delivers in order at ``rate_bps``, then a server computes, one at a time."""

    def __init__(self, rate_bps: float, compute_s: float = 0.01) -> None:
        self.rate_bps = rate_bps
        self.compute_s = compute_s
        self.link_free_s = 0.0
        self.server_free_s = 0.0

    def send(self, bits: float, now_s: float) -> tuple[float, float]:
        """When the reply is here, and how long the server had it [s]."""
        self.link_free_s = max(self.link_free_s, now_s) + bits / self.rate_bps
        arrived_s = self.link_free_s + RTT_S / 2
        self.server_free_s = max(self.server_free_s, arrived_s) + self.compute_s
        return self.server_free_s + RTT_S / 2, self.server_free_s - arrived_s


def drive(
    estimator: CapacityEstimator, link: SimulatedLink, sends: list[tuple[float, float]]
) -> float:
    """Send (time, bits) pairs, hand every reply over in its time; returns the last reply's time."""
    events = []
    for key, (at_s, bits) in enumerate(sends):
        replied_s, server_s = link.send(bits, at_s)
        events.append((at_s, 0, key, bits))
        events.append((replied_s, 1, key, server_s))
    for at_s, is_reply, key, value in sorted(events):
        if is_reply:
            estimator.answered(key, at_s, value)
        else:
            estimator.sent(key, value, at_s)
    return max(at_s for at_s, *_ in events)


@given(
    rate_bps=st.floats(1e5, 2e7),
    load=st.floats(0.1, 1.5),
    sizes_bits=st.lists(st.floats(80e3, 160e3), min_size=5, max_size=30),
    compute_s=st.floats(0.0, 0.05),
)
def test_finds_the_capacity_whatever_the_load(
    rate_bps: float, load: float, sizes_bits: list[float], compute_s: float
) -> None:
    """Also with many requests in flight at once and a server that is slower than the link."""
    estimator = CapacityEstimator()
    estimator.rtt_measured(RTT_S, 0.0)
    sends, now_s = [], 0.0
    for bits in sizes_bits:
        sends.append((now_s, bits))
        now_s += bits / (rate_bps * load)
    end_s = drive(estimator, SimulatedLink(rate_bps, compute_s), sends)
    assert estimator.capacity_bps(end_s) == pytest.approx(rate_bps, rel=0.02)
    assert estimator.rtt_s == RTT_S


def test_unknown_until_something_was_answered() -> None:
    estimator = CapacityEstimator()
    assert math.isnan(estimator.capacity_bps(0.0))
    assert math.isnan(estimator.rtt_s)
    assert estimator.age_s(0.0) == math.inf
    estimator.sent(0, 1e5, 0.0)
    assert math.isnan(estimator.capacity_bps(0.5))
    estimator.forgotten(0)
    assert math.isnan(estimator.capacity_bps(1.0))


def test_a_link_too_fast_to_time_gives_a_lower_bound() -> None:
    estimator = CapacityEstimator()
    estimator.rtt_measured(0.001, 0.0)
    estimator.sent(0, 1e5, 0.0)
    estimator.answered(0, 0.001, 0.0)
    assert estimator.capacity_bps(0.001) == 1e5 / RESOLUTION_S


def test_follows_a_change_within_two_seconds() -> None:
    estimator = CapacityEstimator()
    estimator.rtt_measured(RTT_S, 0.0)
    link = SimulatedLink(1e6)
    sends = [(0.2 * index, 1e5) for index in range(10)]
    drive(estimator, link, sends)
    link.rate_bps = 4e6
    end_s = drive(estimator, link, [(2.0 + 0.2 * index, 1e5) for index in range(11)])
    assert estimator.capacity_bps(end_s) == pytest.approx(4e6, rel=0.05)


def test_falls_while_it_waits_before_anything_times_out() -> None:
    estimator = CapacityEstimator()
    estimator.rtt_measured(RTT_S, 0.0)
    end_s = drive(estimator, SimulatedLink(2e6), [(0.0, 1e5), (0.1, 1e5)])
    estimator.sent(9, 1e5, end_s)
    before_bps = estimator.capacity_bps(end_s)
    assert before_bps == pytest.approx(2e6, rel=0.02)
    assert estimator.capacity_bps(end_s + 1.0) == pytest.approx(1e5, rel=0.05)
    assert estimator.capacity_bps(end_s + 2.0) < estimator.capacity_bps(end_s + 1.0)


def test_timeouts_let_it_fall_on_a_dead_link() -> None:
    estimator = CapacityEstimator()
    now_s = drive(estimator, SimulatedLink(2e6), [(0.0, 1e5), (0.1, 1e5)])
    seen_bps = [estimator.capacity_bps(now_s)]
    for key in range(10, 14):
        estimator.sent(key, 1e5, now_s)
        now_s += 1.0
        estimator.timed_out(key, now_s)
        seen_bps.append(estimator.capacity_bps(now_s))
    assert all(later < seen_bps[0] / 5 for later in seen_bps[1:])
    assert 0.0 < seen_bps[-1] <= 1e5  # at most what can have got through
    assert estimator.age_s(now_s + 1.0) == pytest.approx(1.0)


def test_expects_what_is_in_flight_to_go_first() -> None:
    estimator = CapacityEstimator()
    assert estimator.expected_reply_s(1e5, 0.0) == 0.0
    end_s = drive(estimator, SimulatedLink(1e6, compute_s=0.0), [(0.0, 1e5), (1.0, 1e5)])
    assert estimator.expected_reply_s(1e5, end_s) == pytest.approx(0.1, rel=0.1)
    estimator.sent(9, 1e5, end_s)
    assert estimator.expected_reply_s(1e5, end_s) == pytest.approx(0.2, rel=0.1)
    assert estimator.expected_reply_s(1e5, end_s + 0.05) == pytest.approx(0.15, rel=0.1)


def test_only_recent_round_trips_count() -> None:
    estimator = CapacityEstimator()
    estimator.rtt_measured(0.001, 0.0)
    estimator.rtt_measured(0.005, 10.0)
    assert estimator.rtt_s == 0.001
    estimator.rtt_measured(0.006, 25.0)
    assert estimator.rtt_s == 0.005


def test_a_round_trip_behind_frames_is_an_upper_bound() -> None:
    estimator = CapacityEstimator()
    estimator.rtt_measured(0.1, 0.0, idle=False)
    estimator.rtt_measured(0.2, 100.0, idle=False)
    assert estimator.rtt_s == 0.1
    estimator.rtt_measured(0.05, 101.0, idle=False)
    assert estimator.rtt_s == 0.05
