from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from visionscaling_ros.edge.link.trace import PACKET_BITS, LinkTrace, load_trace
from visionscaling_ros.errors import InvalidValueError

REPOSITORY = Path(__file__).resolve().parents[2]
RECORDED = REPOSITORY.parent / 'shared' / 'data' / 'traces'


@st.composite
def traces(draw) -> LinkTrace:
    rates_bps = draw(st.lists(st.sampled_from([0.0, 1e3, 4e5, 7e6]), min_size=1, max_size=6))
    lengths_s = draw(
        st.lists(st.floats(0.1, 10.0), min_size=len(rates_bps), max_size=len(rates_bps))
    )
    return LinkTrace([0.0, *np.cumsum(lengths_s).tolist()], rates_bps)


@given(trace=traces(), start_s=st.floats(0.0, 100.0), bits=st.floats(1.0, 1e7))
def test_everything_that_starts_is_through_when_the_link_says_so(
    trace: LinkTrace, start_s: float, bits: float
) -> None:
    assume(trace.mean_bps > 0.0)
    finish_s = trace.finish_s(start_s, bits)
    assert finish_s >= start_s
    carried = trace.delivered_bits(finish_s) - trace.delivered_bits(start_s)
    scale = trace.delivered_bits(start_s) + bits
    assert carried == pytest.approx(bits, abs=1e-9 * scale + 1e-3)
    # and not earlier: just before, something was still missing
    earlier_s = finish_s - 1e-4 * max(1.0, finish_s)
    assert trace.delivered_bits(earlier_s) - trace.delivered_bits(start_s) < bits


@given(trace=traces(), time_s=st.floats(0.0, 50.0))
def test_repeats_after_its_period(trace: LinkTrace, time_s: float) -> None:
    gained = trace.delivered_bits(time_s + trace.period_s) - trace.delivered_bits(time_s)
    assert gained == pytest.approx(trace.mean_bps * trace.period_s)


def test_a_dead_period_delays_until_it_ends() -> None:
    trace = LinkTrace([0.0, 1.0, 3.0, 4.0], [1000.0, 0.0, 1000.0])
    assert trace.rate_bps(0.5) == 1000.0
    assert trace.rate_bps(1.0) == 0.0
    assert trace.rate_bps(4.5) == 1000.0
    assert trace.finish_s(0.0, 1000.0) == 1.0
    assert trace.finish_s(2.0, 500.0) == pytest.approx(3.5)
    assert trace.finish_s(3.5, 1000.0) == pytest.approx(4.5)
    assert trace.finish_s(0.0, 2000.0) == pytest.approx(4.0)


def test_constant_and_dead_links() -> None:
    trace = load_trace('2e6')
    assert trace.finish_s(7.25, 1e6) == pytest.approx(7.75)
    assert load_trace('0').finish_s(1.0, 8.0) == math.inf


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / 'link.csv'
    path.write_text('# a comment\ntime_s,rate_bps\n0,1000\n\n2,500\n3,0\n')
    trace = load_trace(str(path))
    assert trace.period_s == 3.0
    assert [trace.rate_bps(time_s) for time_s in (0.0, 2.5, 3.5)] == [1000.0, 500.0, 1000.0]


def test_mahimahi(tmp_path: Path) -> None:
    path = tmp_path / 'link.up'
    path.write_text('0\n5\n5\n150\n250\n')
    trace = load_trace(str(path))
    assert trace.period_s == 0.25
    assert trace.delivered_bits(0.25) == pytest.approx(5 * PACKET_BITS)
    assert trace.rate_bps(0.05) == pytest.approx(3 * PACKET_BITS / 0.1)
    assert trace.rate_bps(0.22) == pytest.approx(PACKET_BITS / 0.05)


@pytest.mark.parametrize(
    ('name', 'text', 'named'),
    [
        ('a.csv', '0,1000\n1,0\n', 'a.csv line 1.*header'),
        ('a.csv', '', 'a.csv line 1'),
        ('a.csv', 'time_s,rate_bps\n0,1000\n1,fast\n', 'a.csv line 3.*1,fast'),
        ('a.csv', 'time_s,rate_bps\n0,1000\n1\n', 'a.csv line 3'),
        ('a.csv', 'time_s,rate_bps\n1,1000\n2,0\n', 'a.csv line 2: time_s = 1.0'),
        ('a.csv', 'time_s,rate_bps\n0,1\n# x\n0,2\n', 'a.csv line 4: time_s = 0.0'),
        ('a.csv', 'time_s,rate_bps\n0,-5\n2,0\n', 'a.csv line 2: rate_bps = -5.0'),
        ('a.csv', 'time_s,rate_bps\n0,nan\n2,0\n', 'a.csv line 2: rate_bps = nan'),
        ('a.csv', 'time_s,rate_bps\n0,1\ninf,0\n', 'a.csv line 3: time_s = inf'),
        ('a.csv', 'time_s,rate_bps\n0,5\n', 'a.csv.*1 lines'),
        ('a.up', '3\n2\n', 'a.up line 2.*2'),
        ('a.up', '3\nx\n', "a.up line 2.*'x'"),
        ('a.up', '-3\n', 'a.up line 1'),
        ('a.up', '0\n0\n', 'a.up.*2 lines'),
        ('a.up', '', 'a.up'),
    ],
)
def test_errors_name_file_line_and_value(tmp_path: Path, name: str, text: str, named: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InvalidValueError, match=named):
        load_trace(str(path))


@pytest.mark.parametrize('source', ['missing.up', '-1', 'nan', 'inf', ''])
def test_sources_that_are_none(source: str) -> None:
    with pytest.raises(InvalidValueError):
        load_trace(source)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / 'video.mp4'
    path.write_bytes(bytes(range(256)))
    with pytest.raises(InvalidValueError, match=r'video\.mp4'):
        load_trace(str(path))


def test_the_demo_has_slow_fast_and_dead_periods() -> None:
    trace = load_trace(str(REPOSITORY / 'config' / 'traces' / 'demo.csv'))
    rates_bps = [trace.rate_bps(time_s) for time_s in np.arange(0.0, trace.period_s, 0.5)]
    assert trace.period_s == 60.0
    assert rates_bps.count(0.0) >= 10
    assert max(rates_bps) >= 5e6
    assert any(0.0 < rate_bps <= 5e5 for rate_bps in rates_bps)


@pytest.mark.skipif(not RECORDED.is_dir(), reason='recorded traces are not here')
def test_recorded_traces() -> None:
    for path in RECORDED.glob('*.up'):
        packets = len(path.read_text().split())
        trace = load_trace(str(path))
        assert trace.delivered_bits(trace.period_s - 1e-9) == pytest.approx(packets * PACKET_BITS)
