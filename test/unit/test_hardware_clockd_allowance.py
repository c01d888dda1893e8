"""Nobody asks more of the helper than he may, and his connections share that."""

from __future__ import annotations

import pytest

from visionscaling_ros.hardware.clockd.allowance import Allowances


def test_a_burst_is_free_then_one_waits_for_the_rate() -> None:
    allowances = Allowances(rate_hz=10.0, burst=5.0)
    for _ in range(4):
        allowances.spend('a', 1.0, 0.0, 1)
        assert allowances.paused_until_s('a') == 0.0
    allowances.spend('a', 1.0, 0.0, 1)
    assert allowances.paused_until_s('a') == pytest.approx(0.1)
    assert allowances.paused_until_s('b') == 0.0


def test_a_debt_is_paid_first() -> None:
    allowances = Allowances(rate_hz=10.0, burst=5.0)
    allowances.spend('a', 25.0, 100.0, 1)
    assert allowances.paused_until_s('a') == pytest.approx(102.1)


def test_those_that_share_wait_until_there_is_one_for_each() -> None:
    allowances = Allowances(rate_hz=10.0, burst=5.0)
    allowances.spend('a', 5.0, 0.0, 4)
    assert allowances.paused_until_s('a') == pytest.approx(0.4)
    allowances.spend('b', 5.0, 0.0, 100)
    assert allowances.paused_until_s('b') == pytest.approx(0.5)


def test_who_is_gone_is_forgotten_once_his_debt_is_paid() -> None:
    allowances = Allowances(rate_hz=10.0, burst=5.0)
    for user in range(1000):
        allowances.spend(user, 5.0, 0.0, 1)
    allowances.forget((), 0.1)
    assert len(allowances) == 1000
    allowances.forget((7,), 0.5)
    assert len(allowances) == 1
