from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.edge.server.batching import REVISIT_BATCHES, Batching
from visionscaling_ros.edge.server.compute_times import (
    HALF_LIFE_S,
    MAX_WORKLOADS,
    SETTLING,
    ComputeTimes,
)
from visionscaling_ros.edge.server.model_runner import Workload
from visionscaling_ros.edge.server.robot_shares import ACTIVE_S, RobotShares

W = Workload('n', 256, 320, 1 << 17)


def known(batches_s: dict[int, float], workload: Workload = W) -> ComputeTimes:
    times = ComputeTimes()
    for size, batch_s in batches_s.items():
        for _ in range(SETTLING):
            times.add(workload, size, batch_s, 0.0)
    return times


def test_what_was_measured_while_warming_up_is_believed_at_once() -> None:
    times = ComputeTimes()
    assert times.batch_s(W, 1, 0.0) == 0.0
    times.enter(W, 0.01, 0.0)
    assert times.batch_s(W, 1, 0.0) == 0.01
    assert times.batch_s(W, 4, 0.0) == pytest.approx(0.04)


def test_other_shapes_are_guessed_by_their_pixels_other_models_are_not() -> None:
    times = known({1: 0.01})
    times.enter(W._replace(input_height_px=512, input_width_px=512), 0.09, 0.0)
    assert times.batch_s(W._replace(input_height_px=128), 1, 0.0) == pytest.approx(0.005)
    assert times.batch_s(W._replace(source_pixels=0), 1, 0.0) == pytest.approx(0.01)
    assert times.batch_s(W._replace(model='m'), 1, 0.0) == 0.0


def test_the_first_batches_of_a_size_pay_for_caches_and_do_not_count() -> None:
    times = ComputeTimes()
    for batch_s in (5.0, 0.02, 0.021):
        times.add(W, 2, batch_s, 0.0)
    assert times.batch_s(W, 2, 0.0) == 0.02


def test_one_outlier_moves_the_mean_little_and_a_new_level_is_learnt() -> None:
    times = known({1: 0.01})
    times.add(W, 1, 10.0, 0.0)
    assert times.batch_s(W, 1, 0.0) < 0.015
    for _ in range(40):
        times.add(W, 1, 0.05, 0.0)
    assert times.batch_s(W, 1, 0.0) == pytest.approx(0.05, rel=0.05)


@given(samples_s=st.lists(st.floats(1e-4, 10.0), min_size=1, max_size=50), now_s=st.floats(0, 100))
def test_the_mean_stays_among_the_samples(samples_s: list[float], now_s: float) -> None:
    times = ComputeTimes()
    for sample_s in samples_s:
        times.add(W, 1, sample_s, 0.0)
    mean_s = times.batch_s(W, 1, now_s)
    assert min(samples_s) * (1 - 1e-9) <= mean_s <= max(samples_s) * (1 + 1e-9)


def test_a_mean_nothing_confirms_falls_back_to_the_shortest_time() -> None:
    times = known({1: 0.01})
    for _ in range(100):
        times.add(W, 1, 1.0, 0.0)
    assert times.batch_s(W, 1, 0.0) == pytest.approx(1.0, rel=0.01)
    assert times.batch_s(W, 1, HALF_LIFE_S) == pytest.approx(0.505, rel=0.01)
    assert times.batch_s(W, 1, 50 * HALF_LIFE_S) == pytest.approx(0.01)


def test_shapes_are_forgotten_not_collected() -> None:
    times = ComputeTimes()
    for width_px in range(2 * MAX_WORKLOADS):
        times.add(Workload('n', 32, width_px), 1, 0.01, 0.0)
    assert times.measurements(Workload('n', 32, 0), 1) == 0
    assert times.measurements(Workload('n', 32, 2 * MAX_WORKLOADS - 1), 1) == 1


def test_batch_sizes_are_tried_then_chosen_by_what_they_take() -> None:
    times = known({1: 0.010})
    batching = Batching(times, 8, 0.0)
    assert batching.sizes(W, 1, 0.0) == [1]
    assert batching.sizes(W, 7, 0.0) == [2, 4, 1]
    times = known({1: 0.010, 2: 0.021, 4: 0.024, 8: 0.056})
    batching = Batching(times, 8, 0.0)
    assert batching.sizes(W, 8, 0.0) == [4, 8, 1]
    assert batching.sizes(W, 3, 0.0) == [1]
    assert Batching(times, 2, 0.0).sizes(W, 8, 0.0) == [1]


def test_a_size_that_lost_is_tried_again_some_day() -> None:
    times = known({1: 0.010, 2: 0.021})
    batching = Batching(times, 2, 0.0)
    for _ in range(REVISIT_BATCHES):
        assert batching.sizes(W, 2, 0.0) == [1]
        times.add(W, 1, 0.010, 0.0)
    assert batching.sizes(W, 2, 0.0) == [2, 1]


@pytest.mark.parametrize(
    ('gap_s', 'two_s', 'delay_s', 'waits'),
    [
        (0.0005, 0.011, 0.002, True),  # the second is expected soon, and costs nearly nothing
        (0.0005, 0.019, 0.002, True),  # saves 1 ms, expected in half of that
        (0.0015, 0.019, 0.002, False),  # saves less than waiting costs
        (0.0050, 0.011, 0.002, False),  # expected too late
        (0.0005, 0.011, 0.000, False),
    ],
)
def test_a_request_waits_only_where_waiting_saves_time(
    gap_s: float, two_s: float, delay_s: float, waits: bool
) -> None:
    batching = Batching(known({1: 0.010, 2: two_s}), 2, delay_s)
    for k in range(5):
        batching.arrived(W, k * gap_s)
    now_s = 4 * gap_s
    wait_s = batching.wait_s(W, 1, now_s, now_s)
    assert wait_s == (pytest.approx(delay_s) if waits else 0.0)
    assert batching.wait_s(W, 1, now_s, now_s + delay_s) == 0.0  # never longer than that
    assert batching.wait_s(W, 2, now_s, now_s) == 0.0  # full


def test_a_batch_that_would_take_too_long_is_neither_run_nor_waited_for() -> None:
    batching = Batching(known({1: 0.2, 2: 0.21}), 2, 0.1)
    for k in range(5):
        batching.arrived(W, k * 0.001)
    assert batching.sizes(W, 2, 0.004) == [1]
    assert batching.wait_s(W, 1, 0.004, 0.005) == 0.0


def test_one_slow_batch_does_not_rule_its_size_out() -> None:
    times = known({1: 0.01})
    times.add(W, 2, 5.0, 0.0)
    batching = Batching(times, 2, 0.0)
    assert batching.sizes(W, 2, 0.0) == [2, 1]
    times.add(W, 2, 0.011, 0.0)
    times.add(W, 2, 0.011, 0.0)
    assert batching.sizes(W, 2, 0.0) == [2, 1]


def test_a_stream_that_ended_is_not_waited_for() -> None:
    batching = Batching(known({1: 0.010, 2: 0.011}), 2, 0.1)
    for k in range(5):
        batching.arrived(W, k * 0.001)
    assert batching.wait_s(W, 1, 0.004, 0.005) > 0.0
    assert batching.wait_s(W, 1, 0.004, 0.05) == 0.0


def drive(shares: RobotShares, uses: dict[str, float], seconds: float = 30.0) -> float:
    """Robots that use these parts of the server, in steps of 50 ms; returns the end."""
    steps = round(seconds / 0.05)
    for step in range(steps):
        for robot, use in uses.items():
            shares.seen(robot, step * 0.05)
            shares.used(robot, use * 0.05, step * 0.05)
    return steps * 0.05


@pytest.mark.parametrize(
    ('uses', 'share'),
    [
        ({}, 1.0),
        ({'b': 0.9}, 0.5),  # it would have to give half of it back
        ({'b': 0.2}, 0.8),  # it leaves the rest
        ({'b': 0.5, 'c': 0.5}, 1 / 3),
        ({'b': 0.1, 'c': 0.7}, 0.45),  # what b leaves is shared with c
    ],
)
def test_a_robots_share_is_what_the_others_leave_or_an_equal_one(
    uses: dict[str, float], share: float
) -> None:
    shares = RobotShares()
    now_s = drive(shares, {'a': 0.05, **uses})
    assert shares.share('a', now_s) == pytest.approx(share, rel=0.03)
    assert shares.active(now_s) == len(uses) + 1


def test_a_robot_that_is_gone_counts_no_more() -> None:
    shares = RobotShares()
    now_s = drive(shares, {'a': 0.1, 'b': 0.9})
    shares.seen('a', now_s + ACTIVE_S)
    assert shares.share('a', now_s + ACTIVE_S) == 1.0
    assert shares.active(now_s + ACTIVE_S) == 1


def test_two_workers_are_a_share_of_one_together() -> None:
    shares = RobotShares(workers=2)
    now_s = drive(shares, {'a': 0.1, 'b': 1.0})
    assert shares.share('a', now_s) == pytest.approx(0.5, rel=0.03)


@given(uses=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8))
def test_shares_are_at_least_equal_ones_and_at_most_all(uses: list[float]) -> None:
    shares = RobotShares()
    now_s = drive(shares, {str(k): use for k, use in enumerate(uses)}, 2.0)
    for robot in map(str, range(len(uses))):
        assert 1.0 / len(uses) - 1e-9 <= shares.share(robot, now_s) <= 1.0
