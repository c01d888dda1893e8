"""Numbers, times and stretches in words."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.review.report.wording import (
    count,
    moment,
    number,
    share,
    stretches,
    times,
    told,
)


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (0.0, '0'), (1234.5, '1,230'), (0.000123456, '0.000123'), (9.996, '10'), (-0.5, '−0.5'),
        (12.0, '12'), (math.nan, 'unknown'), (math.inf, 'unknown'), (100.0, '100'),
    ],
)  # fmt: skip
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


@given(st.floats(min_value=-1e12, max_value=1e12))
def test_a_number_in_words_is_that_number(value: float) -> None:
    read = float(number(value).replace(',', '').replace('−', '-'))
    assert math.isclose(read, value, rel_tol=0.006, abs_tol=1e-300)


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [(0.0, '0 s'), (0.01, '0.1 s'), (0.4, '0.4 s'), (1.0004, '1 s'), (9.96, '10 s'),
     (31.2, '31 s'), (119.0, '119 s'), (120.0, '2 min'), (725.0, '12 min 5 s'),
     (3600.0, '1 h'), (3661.0, '1 h 1 min 1 s')],
)  # fmt: skip
def test_moments_are_in_the_units_people_use(seconds: float, text: str) -> None:
    assert moment(seconds) == text


def test_singular_and_plural() -> None:
    slots = [count(n, 'slot') for n in (0, 1, 2, 1800)]
    assert slots == ['0 slots', '1 slot', '2 slots', '1,800 slots']
    assert [times(n) for n in (1, 2, 5)] == ['once', 'twice', '5 times']


def test_a_share_is_not_rounded_to_all_or_nothing() -> None:
    assert share(1, 1000) == 'less than 1 %'
    assert share(999, 1000) == 'more than 99 %'
    assert share(0, 10) == '0 %'
    assert share(10, 10) == '100 %'


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.data())
def test_stretches_cover_the_flagged_slots_and_no_others(
    flags: list[bool], data: st.DataObject
) -> None:
    size = len(flags)
    others = st.lists(st.booleans(), min_size=size - 1, max_size=size - 1)
    follows = np.array([False, *data.draw(others)])
    begin = np.arange(size, dtype=float)
    found = stretches(np.array(flags), begin, begin + 1.0, follows)
    covered = [any(a <= n and n + 1 <= b for a, b in found) for n in range(size)]
    assert covered == flags
    assert sum(b - a for a, b in found) == sum(flags)


def test_of_many_stretches_only_the_longest_is_told() -> None:
    assert told([(1.0, 2.0), (4.0, 9.0)]) == 'from 1 s to 2 s and from 4 s to 9 s'
    many = [(1.0, 2.0), (4.0, 9.0), (11.0, 12.0), (14.0, 15.0)]
    assert told(many) == 'the longest from 4 s to 9 s'
