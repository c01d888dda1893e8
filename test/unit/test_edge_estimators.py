"""Round trip, loss, overhead and server times, each for itself."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.edge.bridge.loss_estimator import WINDOW_S as LOSS_WINDOW_S
from visionscaling_ros.edge.bridge.loss_estimator import LossEstimator
from visionscaling_ros.edge.bridge.overhead_estimator import LONGEST_S, OverheadEstimator
from visionscaling_ros.edge.bridge.rtt_estimator import WINDOW_S, RttEstimator
from visionscaling_ros.edge.bridge.server_times import ModelCounters, ServerTimes, read_counters
from visionscaling_ros.edge.bridge.wire_times import WireTimes


def rtt_of(*samples: tuple[float, float], idle: bool = True) -> RttEstimator:
    estimator = RttEstimator()
    for at_s, rtt_s in samples:
        estimator.add(rtt_s, at_s, idle=idle)
    return estimator


def test_no_round_trip_yet() -> None:
    assert math.isnan(RttEstimator().rtt_s)
    assert math.isnan(RttEstimator().deviation_s)


def test_the_round_trip_is_the_mean_of_the_undisturbed_ones() -> None:
    estimator = rtt_of((0.0, 0.010), (1.0, 0.012), (2.0, 0.3), (3.0, 0.014))
    assert estimator.rtt_s == pytest.approx(0.012)
    assert estimator.deviation_s == pytest.approx((0.002 + 0.288 + 0.002) / 4)


def test_old_round_trips_are_forgotten_once_there_are_newer_ones() -> None:
    samples = [(float(index), 0.001) for index in range(5)]
    estimator = rtt_of(*samples)
    assert estimator.rtt_s == 0.001
    for index in range(5):
        estimator.add(0.1, WINDOW_S + 10.0 + index, idle=True)
    assert estimator.rtt_s == pytest.approx(0.1)


def test_a_round_trip_behind_frames_counts_only_when_it_shows_a_quicker_link() -> None:
    estimator = rtt_of((0.0, 0.1), (1.0, 0.2), (2.0, 0.09), idle=False)
    assert estimator.rtt_s == 0.1
    estimator.add(0.04, 3.0, idle=False)
    assert estimator.rtt_s == 0.04


def test_loss_is_unknown_without_requests() -> None:
    estimator = LossEstimator()
    assert all(math.isnan(value) for value in estimator.estimate(0.0))
    estimator.add(lost=True, now_s=0.0)
    assert estimator.estimate(0.0)[0] == 1.0
    assert math.isnan(estimator.estimate(LOSS_WINDOW_S + 0.1)[0])


@given(lost=st.integers(0, 50), kept=st.integers(0, 50))
def test_the_upper_bound_of_loss_is_above_it_and_solves_its_equation(lost: int, kept: int) -> None:
    estimator = LossEstimator()
    for index in range(lost + kept):
        estimator.add(lost=index < lost, now_s=0.0)
    share, high = estimator.estimate(0.0)
    count = lost + kept
    if count == 0:
        assert math.isnan(share)
        return
    assert share == lost / count
    assert share <= high <= 1.0
    assert high - share == pytest.approx(1.2816 * math.sqrt(high * (1 - high) / count), abs=1e-6)


@given(overhead_s=st.floats(0.0, 0.009), rate_bps=st.floats(1e6, 1e8))
def test_overhead_is_where_the_line_through_two_sizes_meets_no_bits(
    overhead_s: float, rate_bps: float
) -> None:
    estimator = OverheadEstimator()
    for index in range(40):
        bits = 4e4 if index % 2 else 2e5
        estimator.add(0.1 * index, bits, overhead_s + bits / rate_bps)
    assert estimator.overhead_s == pytest.approx(overhead_s, abs=1e-9)


def test_requests_of_one_size_tell_no_overhead_and_nothing_makes_it_huge() -> None:
    estimator = OverheadEstimator()
    for index in range(40):
        estimator.add(0.1 * index, 1e5, 0.02)
    assert estimator.overhead_s == 0.0
    for index in range(40):
        estimator.add(10.0 + 0.1 * index, 1e5 * (1 + index % 2), 0.5)
    assert estimator.overhead_s == LONGEST_S


def test_server_times_are_the_growth_between_two_looks() -> None:
    times = ServerTimes()
    assert all(math.isnan(value) for value in times.mean_s('a'))
    times.looked({'a': ModelCounters(10, 1.0, 2.0)})
    times.looked({'a': ModelCounters(14, 1.2, 2.8)})
    assert times.mean_s('a') == pytest.approx((0.05, 0.2))
    times.looked({'a': ModelCounters(14, 1.2, 2.8)})  # nothing since
    assert times.mean_s('a') == pytest.approx((0.05, 0.2))
    times.looked({'a': ModelCounters(2, 0.2, 0.4)})  # started anew
    assert times.mean_s('a') == pytest.approx((0.1, 0.2))


def test_statistics_of_all_versions_of_a_model_are_added_up() -> None:
    def spent(ns: int) -> SimpleNamespace:
        return SimpleNamespace(ns=ns)

    inference = SimpleNamespace(
        success=SimpleNamespace(count=3),
        queue=spent(10**9),
        compute_input=spent(10**8),
        compute_infer=spent(2 * 10**8),
        compute_output=spent(3 * 10**8),
    )
    model = SimpleNamespace(name='a', inference_stats=inference)
    counters = read_counters(SimpleNamespace(model_stats=[model, model]))
    assert counters['a'].requests == 6
    assert counters['a'].queue_s == pytest.approx(2.0)
    assert counters['a'].compute_s == pytest.approx(1.2)


def test_wire_times_are_those_of_the_bytes() -> None:
    times = WireTimes()
    assert times.between(1.0, 2.0) == (1.0, 2.0)
    asked_s = times.sent() - 1.0
    first_s = times.sent()
    left_s, arrived_s = times.between(first_s, first_s + 1.0)
    assert (left_s, arrived_s) == (first_s, first_s + 1.0)  # nothing arrived yet
    times.received()
    heard_s = first_s + 100.0
    left_s, arrived_s = times.between(first_s, heard_s)
    assert left_s == first_s
    assert first_s <= arrived_s < heard_s
    assert times.between(asked_s, heard_s)[0] >= asked_s
