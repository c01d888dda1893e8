from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.edge.token_bucket import BURST_S, TokenBucket
from visionscaling_ros.errors import InvalidValueError


@given(
    rate_bps=st.floats(1e4, 1e8),
    sizes_bits=st.lists(st.floats(8.0, 1e6), min_size=20, max_size=100),
    late_s=st.floats(0.0, BURST_S),
)
def test_a_busy_sender_reaches_the_rate_exactly(
    rate_bps: float, sizes_bits: list[float], late_s: float
) -> None:
    """Also when it wakes up ``late_s`` late every time it had to wait."""
    bucket = TokenBucket(rate_bps, now_s=0.0)
    now_s = 0.0
    for bits in sizes_bits:
        pause_s = bucket.wait_s(now_s)
        now_s += pause_s + late_s if pause_s > 0.0 else 0.0
        bucket.spend(bits, now_s)
    paid_s = now_s + bucket.wait_s(now_s)
    assert sum(sizes_bits) <= rate_bps * (paid_s + BURST_S) * (1 + 1e-9)
    assert sum(sizes_bits) >= rate_bps * (paid_s - BURST_S) * (1 - 1e-9)


def test_idle_time_gives_only_a_small_burst() -> None:
    bucket = TokenBucket(1e6, now_s=0.0)
    sent_bits = 0.0
    while bucket.wait_s(100.0) == 0.0:
        bucket.spend(1000.0, 100.0)
        sent_bits += 1000.0
    assert 1e6 * BURST_S <= sent_bits <= 1e6 * BURST_S + 2000.0


@pytest.mark.parametrize('rate_bps', [0.0, math.inf])
def test_no_ceiling(rate_bps: float) -> None:
    bucket = TokenBucket(rate_bps)
    bucket.spend(1e12, 0.0)
    assert bucket.wait_s(0.0) == 0.0
    assert bucket.rate_bps == math.inf


def test_a_new_rate_holds_at_once() -> None:
    bucket = TokenBucket(1e5, now_s=0.0)
    bucket.spend(1e5, 0.0)
    assert bucket.wait_s(0.0) == pytest.approx(1.0)
    bucket.set_rate_bps(1e6, 0.5)
    assert bucket.wait_s(0.5) == pytest.approx(0.05)
    bucket.set_rate_bps(0.0, 0.5)
    assert bucket.wait_s(0.5) == 0.0


@pytest.mark.parametrize('rate_bps', [-1.0, math.nan])
def test_rates_that_are_none(rate_bps: float) -> None:
    bucket = TokenBucket(5e5)
    with pytest.raises(InvalidValueError, match='tx_rate_bps'):
        bucket.set_rate_bps(rate_bps, 0.0)
    assert bucket.rate_bps == 5e5
