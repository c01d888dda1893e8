"""Turns come at a steady rate, without drift and without bursts."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.nodes.pacer import EARLY_TURNS, Pacer


class Clock:
    """A monotonic clock the test turns."""

    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


@given(st.lists(st.floats(0.0, 0.5), min_size=1, max_size=80))
def test_turns_never_come_faster_than_the_rate_and_skipped_ones_are_counted(
    steps_s: list[float],
) -> None:
    clock = Clock()
    pacer = Pacer(10.0, clock)
    taken = 0
    for step_s in steps_s:
        clock.now_s += step_s
        taken += pacer.due()
    grid_turns = (clock.now_s - 50.0) * 10.0 + 1.0
    assert taken + pacer.skipped <= grid_turns + EARLY_TURNS + 1e-6


def test_late_by_a_little_does_not_shift_the_grid() -> None:
    clock = Clock()
    pacer = Pacer(10.0, clock)
    assert pacer.due()
    for turn in range(1, 1000):
        clock.now_s = 50.0 + turn * 0.1 + 0.03
        assert pacer.due()
        assert not pacer.due()
    assert pacer.skipped == 0


def test_a_long_delay_is_skipped_not_made_up_for() -> None:
    clock = Clock()
    pacer = Pacer(10.0, clock)
    assert pacer.due()
    clock.now_s += 1.05
    assert pacer.due()
    assert not pacer.due()
    assert pacer.skipped == 9
    clock.now_s = 51.11
    assert pacer.due()  # the next turn of the old grid


def test_without_a_rate_every_time_is_right() -> None:
    clock = Clock()
    pacer = Pacer(0.0, clock)
    assert all(pacer.wait() for _ in range(100))
    assert pacer.skipped == 0


@pytest.mark.parametrize('rate_hz', [1.0, 1e-6])
def test_closing_ends_the_wait(rate_hz: float) -> None:
    pacer = Pacer(rate_hz, Clock())
    assert pacer.wait()
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(pacer.wait()))
    thread.start()
    pacer.close()
    thread.join(10.0)
    assert results == [False]
    assert not pacer.pause(1000.0)


def test_a_new_rate_counts_for_the_turn_waited_for() -> None:
    clock = Clock()
    pacer = Pacer(0.001, clock)
    assert pacer.wait()
    clock.now_s += 1.0
    done = threading.Event()
    thread = threading.Thread(target=lambda: (pacer.wait(), done.set()))
    thread.start()
    assert not pacer.due()
    pacer.set_rate(10.0)
    assert done.wait(10.0)
    thread.join()


@pytest.mark.parametrize('rate_hz', [10.0, 9.99, 10.01])
def test_a_camera_of_about_this_rate_loses_no_frame_to_jitter(rate_hz: float) -> None:
    clock = Clock()
    pacer = Pacer(10.0, clock)
    taken = 0
    for frame in range(1000):
        clock.now_s = 50.0 + frame / rate_hz + (0.004 if frame % 2 else -0.004)
        taken += pacer.due()
    assert taken >= 998


def test_a_faster_camera_is_thinned_to_the_rate() -> None:
    clock = Clock()
    pacer = Pacer(20.0, clock)
    taken = 0
    for frame in range(3000):
        clock.now_s = 50.0 + frame / 30.0
        taken += pacer.due()
    assert taken == pytest.approx(2000, abs=2)
    assert pacer.skipped <= 1
