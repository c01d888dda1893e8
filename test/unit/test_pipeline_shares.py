"""Deficit round-robin over rates."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.pipeline.frame_shares import FrameShares

rates = st.lists(st.floats(0.0, 50.0), min_size=0, max_size=6)


@given(rates_fps=rates, arrival_fps=st.floats(0.0, 100.0), frames=st.integers(1, 400))
def test_every_lane_gets_its_share_to_within_the_number_of_lanes(
    rates_fps: list[float], arrival_fps: float, frames: int
) -> None:
    shares = FrameShares(rates_fps, arrival_fps)
    served = Counter(shares.next_lane() for _ in range(frames))
    total_fps = max(arrival_fps, sum(rates_fps))
    for lane, rate_fps in enumerate(rates_fps):
        due = frames * rate_fps / total_fps if total_fps else 0.0
        assert abs(served[lane] - due) <= len(rates_fps) + 1


def test_nothing_is_left_out_when_the_rates_cover_the_arrivals() -> None:
    shares = FrameShares([7.5, 7.5], arrival_fps=15.0)
    assert None not in {shares.next_lane() for _ in range(1000)}


def test_a_rate_below_one_frame_a_slot_is_served_over_several_slots() -> None:
    served: Counter[int | None] = Counter()
    deficits: tuple[float, ...] = ()
    for _ in range(20):  # slots of ten frames, a lane worth a fifth of a frame a slot
        shares = FrameShares([9.8, 0.2], arrival_fps=10.0, deficits=deficits)
        served.update(shares.next_lane() for _ in range(10))
        deficits = shares.deficits
    assert served[1] == pytest.approx(4, abs=1)
    assert served[None] == 0


def test_no_rates_process_nothing() -> None:
    assert FrameShares([], arrival_fps=10.0).next_lane() is None
