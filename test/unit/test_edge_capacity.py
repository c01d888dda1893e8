from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.edge.bridge.capacity_estimator import CapacityEstimator
from visionscaling_ros.edge.bridge.capacity_window import (
    RESOLUTION_S,
    WINDOW_S,
    Busy,
    CapacityWindow,
)
from visionscaling_ros.edge.link.trace import LinkTrace

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
    assert estimator.estimate(end_s).mean_bps == pytest.approx(rate_bps, rel=0.02)
    assert estimator.rtt_s == RTT_S


def test_unknown_until_something_was_answered() -> None:
    estimator = CapacityEstimator()
    assert math.isnan(estimator.estimate(0.0).mean_bps)
    assert math.isnan(estimator.rtt_s)
    assert estimator.age_s(0.0) == math.inf
    estimator.sent(0, 1e5, 0.0)
    assert math.isnan(estimator.estimate(0.5).mean_bps)
    estimator.forgotten(0)
    assert math.isnan(estimator.estimate(1.0).mean_bps)


def test_a_link_too_fast_to_time_gives_a_lower_bound() -> None:
    estimator = CapacityEstimator()
    estimator.rtt_measured(0.001, 0.0)
    estimator.sent(0, 1e5, 0.0)
    estimator.answered(0, 0.001, 0.0)
    assert estimator.estimate(0.001).mean_bps == 1e5 / RESOLUTION_S


def test_follows_a_change_within_two_seconds() -> None:
    estimator = CapacityEstimator()
    estimator.rtt_measured(RTT_S, 0.0)
    link = SimulatedLink(1e6)
    sends = [(0.2 * index, 1e5) for index in range(10)]
    drive(estimator, link, sends)
    link.rate_bps = 4e6
    end_s = drive(estimator, link, [(2.0 + 0.2 * index, 1e5) for index in range(11)])
    assert estimator.estimate(end_s).mean_bps == pytest.approx(4e6, rel=0.05)


def test_falls_while_it_waits_before_anything_times_out() -> None:
    estimator = CapacityEstimator()
    estimator.rtt_measured(RTT_S, 0.0)
    end_s = drive(estimator, SimulatedLink(2e6), [(0.0, 1e5), (0.1, 1e5)])
    estimator.sent(9, 1e5, end_s)
    seen_bps = [estimator.estimate(end_s + wait_s).mean_bps for wait_s in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert seen_bps[0] == pytest.approx(2e6, rel=0.02)
    assert seen_bps == sorted(seen_bps, reverse=True)
    assert seen_bps[-1] < 1e5


def test_what_timed_out_counts_when_a_later_reply_shows_that_it_got_through() -> None:
    estimator = CapacityEstimator()
    estimator.rtt_measured(RTT_S, 0.0)
    estimator.sent(0, 1e6, 0.0)
    estimator.timed_out(0)
    estimator.sent(1, 1e6, 1.0)
    estimator.answered(1, 2.0 + RTT_S, 0.0)
    assert estimator.estimate(2.0).mean_bps == pytest.approx(1e6, rel=0.01)


def test_a_lost_connection_and_failed_probes_say_that_nothing_got_through() -> None:
    estimator = CapacityEstimator()
    now_s = drive(estimator, SimulatedLink(2e6), [(0.0, 1e5), (0.1, 1e5)])
    estimator.sent(9, 1e5, now_s)
    estimator.timed_out(9)
    estimator.lost(now_s + 1.0)
    assert 0.0 < estimator.estimate(now_s + 1.0).mean_bps < 1.6e6
    estimator.dead(now_s + 1.0, now_s + 2.5)
    found = estimator.estimate(now_s + 2.5)
    assert found.mean_bps == pytest.approx(0.0, abs=2e5)
    assert found.high_bps > found.mean_bps
    assert estimator.age_s(now_s + 3.5) == pytest.approx(1.0)
    estimator.answered(9, now_s + 3.0, 0.0)  # long given up
    assert estimator.age_s(now_s + 3.5) == pytest.approx(1.0)


def test_time_the_pace_held_bytes_back_does_not_count() -> None:
    estimator = CapacityEstimator()
    estimator.rtt_measured(RTT_S, 0.0)
    estimator.sent(0, 2e5, 0.0)
    estimator.held()
    assert math.isnan(estimator.estimate(0.5).mean_bps)
    estimator.resumed(1e5, 1.0)  # the second half leaves now
    estimator.answered(0, 1.1 + RTT_S, 0.0)
    assert estimator.estimate(1.2).mean_bps == pytest.approx(1e6, rel=0.01)


def test_a_request_starts_when_its_first_byte_leaves() -> None:
    estimator = CapacityEstimator()
    estimator.rtt_measured(RTT_S, 0.0)
    estimator.sent(0, 1e5, 0.0)
    estimator.answered(0, 0.2 + RTT_S, 0.0, started_s=0.1)
    assert estimator.estimate(0.3).mean_bps == pytest.approx(1e6, rel=0.01)


@settings(max_examples=20)
@given(offset_s=st.floats(0.0, 0.008), seed=st.integers(0, 1000))
def test_what_every_request_costs_besides_is_learnt_from_their_sizes(
    offset_s: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    estimator = CapacityEstimator()
    estimator.rtt_measured(RTT_S, 0.0)
    now_s = 0.0
    for key in range(100):
        bits = float(random.uniform(3e4, 3e5))
        estimator.sent(key, bits, now_s)
        estimator.answered(key, now_s + bits / 2e7 + offset_s + RTT_S, 0.0)
        now_s += 0.05
    assert estimator.estimate(now_s).mean_bps == pytest.approx(2e7, rel=0.01)


@pytest.mark.parametrize('load', [0.5, 0.8])
@pytest.mark.parametrize('seed', range(4))
def test_the_mean_over_time_is_right_on_a_link_that_changes(load: float, seed: int) -> None:
    """Random levels, a seventh of them dead, each for 0.1 to 2 s."""
    random = np.random.default_rng(seed)
    lengths_s = random.uniform(0.1, 2.0, 80)
    rates_bps = np.where(random.random(80) < 1 / 7, 0.0, random.uniform(5e5, 1e7, 80))
    trace = LinkTrace(np.concatenate([[0.0], np.cumsum(lengths_s)]).tolist(), rates_bps.tolist())
    estimator = CapacityEstimator()
    estimator.rtt_measured(RTT_S, 0.0)
    events: list[tuple[float, int, float]] = []
    now_s = free_s = 0.0
    while now_s < trace.period_s - 1.0:
        bits = float(random.uniform(3e4, 3e5))
        free_s = trace.finish_s(max(free_s, now_s), bits)
        events += [(now_s, 0, bits), (free_s + RTT_S, 1, 0.0)]
        now_s += max(bits / (load * trace.mean_bps), free_s - now_s - 0.5)
    errors, sent, answered = [], 0, 0
    next_s = WINDOW_S
    for at_s, is_reply, bits in sorted(events):
        while next_s < at_s:
            truth = (trace.delivered_bits(next_s) - trace.delivered_bits(next_s - WINDOW_S)) / 2.0
            errors.append(estimator.estimate(next_s).mean_bps - truth)
            next_s += 0.2
        if is_reply:
            estimator.answered(answered, at_s, 0.0)
            answered += 1
        else:
            estimator.sent(sent, bits, at_s)
            sent += 1
    assert abs(np.mean(errors)) < 0.08 * trace.mean_bps
    assert np.median(np.abs(errors)) < 0.1 * trace.mean_bps


def test_slow_moments_do_not_count_more_than_their_time() -> None:
    """A second at 1 Mbit/s and a second at 9, of each of which a fifth is measured."""
    window = CapacityWindow()
    for index in range(10):
        rate_bps = 1e6 if index < 5 else 9e6
        window.add(Busy(0.2 * index + 0.04, rate_bps * 0.04, 0.04))
    found = window.estimate()
    assert found.mean_bps == pytest.approx(5e6, rel=0.1)
    assert found.low_bps < 5e6 < found.high_bps


def test_the_interval_narrows_with_what_is_known() -> None:
    """Rates of 1 and 3 Mbit/s in turns, twice or ten times in the window."""
    widths = []
    for count in (2, 10):
        window = CapacityWindow()
        for index in range(count):
            rate_bps = 1e6 + 2e6 * (index % 2)
            window.add(Busy(2.0 * index / count, 0.04 * rate_bps, 0.04))
        found = window.estimate()
        widths.append((found.high_bps - found.low_bps) / found.mean_bps)
    assert widths[1] < 0.7 * widths[0]


def test_what_is_too_short_to_be_timed_well_makes_it_wide() -> None:
    widths = []
    for busy_s in (0.05, 0.002):
        window = CapacityWindow()
        for index in range(10):
            window.add(Busy(0.2 * index, 2e7 * busy_s, busy_s))
        found = window.estimate()
        widths.append((found.high_bps - found.low_bps) / found.mean_bps)
    assert widths[0] < 0.2
    assert widths[1] > 1.0


def test_expects_what_is_in_flight_to_go_first() -> None:
    estimator = CapacityEstimator()
    assert estimator.expected_reply_s(1e5, 0.0) == 0.0
    end_s = drive(estimator, SimulatedLink(1e6, compute_s=0.0), [(0.0, 1e5), (1.0, 1e5)])
    assert estimator.expected_reply_s(1e5, end_s) == pytest.approx(0.1, rel=0.1)
    estimator.sent(9, 1e5, end_s)
    assert estimator.expected_reply_s(1e5, end_s) == pytest.approx(0.2, rel=0.1)
    assert estimator.expected_reply_s(1e5, end_s + 0.05) == pytest.approx(0.15, rel=0.1)
