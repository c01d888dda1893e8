from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.edge.bridge.token_bucket import CARRIED, CATCH_UP_S, FORGIVEN, TokenBucket
from visionscaling_ros.errors import InvalidValueError

RATES = st.floats(1e4, 1e8)
SIZES = st.floats(8.0, 1e6)


def paced(rate_bps: float, slot_s: float = 1.0) -> TokenBucket:
    bucket = TokenBucket(now_s=0.0)
    bucket.start_slot(rate_bps, 0.0, slot_s)
    return bucket


class Sender:
    """Always has more to send; as an uplink does, it holds back what may not leave yet."""

    def __init__(self, bucket: TokenBucket, sizes_bits: list[float]) -> None:
        self.bucket = bucket
        self.sizes_bits = sizes_bits
        self.started = 0
        self.held_bits = 0.0
        self.now_s = 0.0
        self.sent_bits = 0.0

    def run_until(self, end_s: float, late_s: float = 0.0) -> float:
        """Bits that left before ``end_s``; every wake-up comes ``late_s`` late."""
        before_bits = self.sent_bits
        while True:
            if self.held_bits <= 1e-6:
                due_s = self.now_s + self.bucket.wait_s(self.now_s)
            else:
                due_s = self.now_s + self.bucket.hold_s(min(self.held_bits, 8192.0), self.now_s)
            due_s = max(self.now_s + 1e-5, due_s + (late_s if due_s > self.now_s else 0.0))
            if due_s >= end_s:
                self.now_s = end_s
                return self.sent_bits - before_bits
            self.now_s = due_s
            if self.held_bits <= 1e-6:
                self.held_bits = self.sizes_bits[self.started % len(self.sizes_bits)]
                self.started += 1
            leaving_bits = min(self.held_bits, self.bucket.allowed_bits(self.now_s))
            self.bucket.spend(leaving_bits, self.now_s)
            self.held_bits -= leaving_bits
            self.sent_bits += leaving_bits


@settings(max_examples=40)
@given(
    rates_bps=st.lists(st.floats(2e5, 2e7), min_size=2, max_size=4),
    sizes_bits=st.lists(st.floats(3.2e4, 4.8e5), min_size=1, max_size=10),
    late_s=st.floats(0.0, 0.005),
)
def test_every_slot_carries_what_was_decided_whatever_the_sizes(
    rates_bps: list[float], sizes_bits: list[float], late_s: float
) -> None:
    bucket = paced(rates_bps[0])
    sender = Sender(bucket, sizes_bits)
    for slot, rate_bps in enumerate(rates_bps):
        bucket.start_slot(rate_bps, float(slot), 1.0)
        sent_bits = sender.run_until(slot + 1.0, late_s)
        assert sent_bits <= rate_bps * (1.0 + CARRIED) * (1.0 + 1e-6)
        assert sent_bits >= rate_bps * (1.0 - 0.01 - 2.0 * late_s)


@given(
    rate_bps=RATES,
    times=st.lists(st.tuples(st.floats(0.0, 0.3), SIZES), min_size=1, max_size=60),
    slot_s=st.floats(0.1, 3.0),
)
def test_no_slot_ever_carries_more_than_was_decided(
    rate_bps: float, times: list[tuple[float, float]], slot_s: float
) -> None:
    bucket = paced(rate_bps, slot_s)
    now_s = sent_bits = 0.0
    for pause_s, wanted_bits in times:
        now_s += pause_s
        if now_s >= slot_s:
            break
        leaving_bits = min(wanted_bits, bucket.allowed_bits(now_s))
        bucket.spend(leaving_bits, now_s)
        sent_bits += leaving_bits
    assert sent_bits <= rate_bps * slot_s * (1.0 + 1e-9)


@settings(max_examples=40)
@given(
    rate_bps=st.floats(2e5, 2e6),
    sizes_bits=st.lists(st.floats(3.2e4, 1e6), min_size=1, max_size=10),
)
def test_the_long_run_rate_is_exact_without_new_decisions(
    rate_bps: float, sizes_bits: list[float]
) -> None:
    sender = Sender(paced(rate_bps), sizes_bits)
    sent_bits = sender.run_until(20.0)
    assert sent_bits == pytest.approx(20.0 * rate_bps, rel=0.06)  # part of a slot's debt at most


@given(rate_bps=RATES, bits=SIZES, announced_bits=st.floats(0.0, 1e6), now_s=st.floats(0.0, 0.9))
def test_it_says_when_a_message_will_have_left(
    rate_bps: float, bits: float, announced_bits: float, now_s: float
) -> None:
    bucket = paced(rate_bps)
    finish_s = bucket.finish_s(bits, now_s, announced_bits)
    start_s = now_s + bucket.wait_s(now_s, announced_bits)
    assert finish_s >= start_s
    slots = (bits + announced_bits) / rate_bps
    assert finish_s <= max(start_s, math.ceil(slots) + 1.0)


def test_a_message_goes_into_debt_and_the_next_waits() -> None:
    bucket = paced(1e6)
    assert bucket.wait_s(0.0) == 0.0
    assert bucket.allowed_bits(0.0) == 1e6
    bucket.spend(4e5, 0.0)
    assert bucket.wait_s(0.0) == pytest.approx(0.4)
    assert bucket.wait_s(0.0, announced_bits=1e5) == pytest.approx(0.5)


def test_what_reaches_beyond_the_slot_is_held_until_the_next() -> None:
    bucket = paced(1e6)
    bucket.spend(9e5, 0.0)
    assert bucket.allowed_bits(0.9) == pytest.approx(1e5)
    bucket.spend(1e5, 0.9)
    assert bucket.allowed_bits(0.95) == pytest.approx(0.0, abs=1e-6)
    assert bucket.hold_s(8192.0, 0.95) == pytest.approx(0.05)
    bucket.start_slot(2e6, 1.0, 1.0)
    assert bucket.allowed_bits(1.0) == pytest.approx(2e6)


def test_a_slot_whose_successor_is_late_goes_on_without_debt() -> None:
    bucket = paced(1e6)
    bucket.spend(1e6, 0.0)
    assert bucket.allowed_bits(1.05) == pytest.approx(5e4)
    bucket.spend(5e4, 1.05)
    assert bucket.allowed_bits(1.05) == pytest.approx(0.0, abs=1e-6)
    assert bucket.hold_s(1e4, 1.05) == pytest.approx(0.01)
    assert bucket.allowed_bits(1.15) == pytest.approx(8.5e5 + 1e6 * CARRIED)  # a new one


def test_a_decision_that_comes_a_little_early_costs_the_next_slot_nothing() -> None:
    bucket = paced(2e7)
    bucket.spend(2e7, 0.0)
    bucket.start_slot(2e5, 1.0 - 0.5 * FORGIVEN, 1.0)
    assert bucket.allowed_bits(1.0 - 0.5 * FORGIVEN) == pytest.approx(2e5)


def test_debt_of_a_slot_cut_short_is_paid() -> None:
    bucket = paced(1e6)
    bucket.spend(1e6, 0.0)
    bucket.start_slot(1e6, 0.5, 1.0)
    assert bucket.wait_s(0.5) == pytest.approx(0.5 - FORGIVEN)


def test_idle_time_is_made_up_for_in_part() -> None:
    bucket = paced(1e6, 100.0)
    sent_bits = 0.0
    while bucket.wait_s(50.0) == 0.0:
        bucket.spend(1000.0, 50.0)
        sent_bits += 1000.0
    assert 1e6 * CATCH_UP_S <= sent_bits <= 1e6 * CATCH_UP_S + 2000.0


@pytest.mark.parametrize('rate_bps', [0.0, math.inf])
def test_no_ceiling(rate_bps: float) -> None:
    bucket = paced(1e6)
    bucket.start_slot(rate_bps, 0.0)
    bucket.spend(1e12, 0.0)
    assert bucket.wait_s(0.0, announced_bits=1e9) == 0.0
    assert bucket.allowed_bits(0.0) == math.inf
    assert bucket.hold_s(1e9, 0.0) == 0.0
    assert bucket.finish_s(1e9, 5.0) == 5.0
    assert bucket.rate_bps == math.inf


@pytest.mark.parametrize('rate_bps', [-1.0, math.nan])
def test_rates_that_are_none(rate_bps: float) -> None:
    bucket = paced(5e5)
    with pytest.raises(InvalidValueError, match='tx_rate_bps'):
        bucket.start_slot(rate_bps, 0.0)
    assert bucket.rate_bps == 5e5


@pytest.mark.parametrize('slot_s', [0.0, -1.0, math.inf, math.nan])
def test_slots_that_are_none(slot_s: float) -> None:
    with pytest.raises(InvalidValueError, match='slot_s'):
        paced(1e6, slot_s)
