"""When packets come out of a link: rate, delay, loss, outages, on a clock of their own."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.edge.link.link_outage import MAX_RTO_S, Outage, retransmitted_s
from visionscaling_ros.edge.link.link_path import PACKET_BYTES, LinkConditions, LinkPath
from visionscaling_ros.edge.link.trace import LinkTrace, load_trace
from visionscaling_ros.errors import InvalidValueError

TRACE = Path(__file__).resolve().parents[2] / 'config' / 'traces' / 'demo.csv'
MANY = 100  # packets behind the one in question


def path(trace: LinkTrace | None = None, **conditions: float) -> LinkPath:
    return LinkPath(trace, LinkConditions(**conditions), random.Random(1))


def test_a_link_that_is_never_idle_delivers_what_its_trace_says_in_every_second() -> None:
    trace = load_trace(str(TRACE))
    link = path(trace)
    left_s = [0.0]
    while left_s[-1] < 2.0 * trace.period_s:
        left_s.append(link.carry(0.0, PACKET_BYTES))
    for second in range(int(2.0 * trace.period_s)):
        delivered = np.searchsorted(left_s, second + 1) - np.searchsorted(left_s, second)
        due_bits = trace.delivered_bits(second + 1.0) - trace.delivered_bits(float(second))
        assert delivered * 8 * PACKET_BYTES == pytest.approx(due_bits, abs=2 * 8 * PACKET_BYTES)


@given(delay_s=st.floats(0.0, 1.0), jitter_s=st.floats(0.0, 0.5), left_s=st.floats(0.0, 100.0))
def test_without_loss_a_packet_arrives_after_the_delay_give_or_take_the_jitter(
    delay_s: float, jitter_s: float, left_s: float
) -> None:
    link = path(delay_s=delay_s, jitter_s=jitter_s)
    for _ in range(20):
        way_s = link.arrival_s(left_s, PACKET_BYTES, MANY) - left_s
        assert max(0.0, delay_s - jitter_s) - 1e-9 <= way_s <= delay_s + jitter_s + 1e-9


@pytest.mark.parametrize(('following', 'wait_s'), [(MANY, 0.1), (0, 0.3)])
def test_a_lost_packet_is_late_by_a_round_trip_or_a_timeout(following: int, wait_s: float) -> None:
    link = path(delay_s=0.05, loss=0.01)
    late_s = [link.arrival_s(0.0, PACKET_BYTES, following) - 0.05 for _ in range(5000)]
    lost = [value for value in late_s if value > 0.0]
    assert len(lost) == pytest.approx(50, rel=0.5)
    assert np.median(lost) == pytest.approx(wait_s)


def test_the_timeout_doubles_while_retransmissions_are_lost() -> None:
    link = path(loss=0.5)
    late_s = {round(link.arrival_s(0.0, PACKET_BYTES, 0), 9) for _ in range(500)}
    assert {0.0, 0.2, 0.6, 1.4, 3.0} <= late_s


def test_what_is_sent_twice_takes_its_share_of_the_rate() -> None:
    trace, loss = LinkTrace.constant(1e6), 0.2
    link = path(trace, loss=loss)
    left_s = 0.0
    for _ in range(2000):
        left_s = link.carry(left_s, PACKET_BYTES)
        link.arrival_s(left_s, PACKET_BYTES, MANY)
    sent = link.carry(0.0, PACKET_BYTES) * 1e6 / (8 * PACKET_BYTES)
    assert sent == pytest.approx(2000 / (1.0 - loss), rel=0.05)


@given(sent_s=st.floats(0.0, 100.0), gap_s=st.floats(0.0, 1000.0), rto_s=st.floats(0.2, 5.0))
def test_a_retransmission_comes_after_the_outage_and_not_absurdly_late(
    sent_s: float, gap_s: float, rto_s: float
) -> None:
    until_s = sent_s + gap_s
    again_s = retransmitted_s(sent_s, until_s, rto_s)
    assert again_s >= until_s
    # Each timeout is as long as all before it and one more, so waiting at most doubles.
    assert again_s - until_s <= min(gap_s + rto_s, MAX_RTO_S) + 1e-6


def test_after_a_stall_all_goes_on_at_once_and_after_a_dead_time_with_a_retransmission() -> None:
    outage = Outage()
    assert outage.resumes_s(0.0, 1.0, 0.2) == 1.0
    outage.stall(1.0, 5.0)
    assert outage.is_on(5.9)
    assert not outage.is_on(6.0)
    assert outage.resumes_s(0.5, 2.0, 0.2) == 6.0
    outage.die(10.0, 5.0)
    # lost at 10.0; sent again 0.2, 0.6, 1.4, 3.0 and 6.2 s later
    assert outage.resumes_s(9.0, 10.0, 0.2) == pytest.approx(16.2)
    assert outage.resumes_s(14.9, 14.9, 0.2) == pytest.approx(15.1)


def test_outages_that_overlap_are_one() -> None:
    outage = Outage()
    outage.die(0.0, 4.0)
    outage.stall(3.0, 3.0)
    assert outage.is_on(5.9)
    assert outage.resumes_s(0.0, 3.0, 1.0) == pytest.approx(7.0)  # 1, 3 and 7 s after 0


@pytest.mark.parametrize('seconds', [-1.0, math.nan, math.inf])
def test_an_outage_has_a_length(seconds: float) -> None:
    with pytest.raises(InvalidValueError, match='outage seconds'):
        Outage().stall(0.0, seconds)


@pytest.mark.parametrize(
    ('name', 'value'), [('delay_s', -1.0), ('jitter_s', math.inf), ('loss', 1.0), ('loss', -0.1)]
)
def test_conditions_that_make_no_sense_are_refused(name: str, value: float) -> None:
    with pytest.raises(InvalidValueError, match=name):
        LinkConditions(**{name: value})
