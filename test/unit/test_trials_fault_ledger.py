"""Every frame one fate; and what of a campaign is judged, on a clock of its own."""

from __future__ import annotations

import itertools
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.trials.faults.fate_ledger import FATES, MISSING_S, FateLedger
from visionscaling_ros.trials.faults.plan import KINDS, plan
from visionscaling_ros.trials.faults.process_health import (
    MEDIAN_SAMPLES,
    ProcessGrowth,
    ProcessHealth,
)
from visionscaling_ros.trials.faults.record import FaultRecord, summarize

LATER_S = 1000.0


@given(
    fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=40),
    shuffle=st.randoms(use_true_random=False),
)
def test_frames_that_each_get_one_fate_are_no_violation_in_any_order(
    fates: list[str], shuffle: object
) -> None:
    numbered = list(enumerate(fates, start=7))
    first, rest = numbered[0], numbered[1:]
    shuffle.shuffle(rest)
    ledger = FateLedger()
    for number, fate in [first, *rest]:
        ledger.add_fate(number, fate, 0.0)
    notes = ledger.take(LATER_S)
    assert notes.violations == ()
    assert notes.fates == {fate: fates.count(fate) for fate in FATES}


@given(missing=st.integers(2, 9))
def test_a_frame_without_a_fate_is_told_once_and_only_after_a_while(missing: int) -> None:
    ledger = FateLedger()
    for number in range(1, 11):
        if number != missing:
            ledger.add_fate(number, 'local', 0.0)
    assert ledger.take(MISSING_S - 0.1).violations == ()
    assert ledger.take(LATER_S).violations == (f'frame {missing} got no fate',)
    assert ledger.take(2 * LATER_S).violations == ()


@pytest.mark.parametrize('number', [1, 2, 3])
def test_a_second_fate_is_a_violation(number: int) -> None:
    ledger = FateLedger()
    for fate in ('edge', 'dropped'):
        for frame in (1, 2, 3) if fate == 'edge' else (number,):
            ledger.add_fate(frame, fate, 0.0)
    assert ledger.take(0.0).violations == (f'frame {number} got a second fate: dropped',)


def test_books_that_do_not_add_up_are_a_violation() -> None:
    ledger = FateLedger()
    ledger.add_books(10, 4, 3, 2, 1)
    assert ledger.take(0.0).arrived == 10
    ledger.add_books(12, 4, 3, 2, 1)
    notes = ledger.take(0.0)
    assert notes.arrived == 2
    assert notes.violations == ('12 arrived, but 4 local + 3 edge + 2 dropped + 1 in flight',)


def test_the_longest_gap_counts_processed_frames_only_and_what_is_still_open() -> None:
    ledger = FateLedger()
    for now_s, fate in ((0.0, 'local'), (1.0, 'dropped'), (3.0, 'edge'), (4.0, 'local')):
        ledger.add_fate(int(now_s), fate, now_s)
    assert ledger.take(6.5).longest_gap_s == 3.0
    assert ledger.take(8.0).longest_gap_s == 4.0


def test_a_plan_has_as_many_of_every_kind_and_those_that_kill_come_first() -> None:
    faults = plan(2 * len(KINDS) + 3, seed=1)
    counts = [sum(fault.kind.name == name for fault in faults) for name in KINDS]
    assert set(counts) == {2, 3}
    kills = [bool(fault.kind.kills) for fault in faults]
    assert kills == sorted(kills, reverse=True)
    assert plan(50, seed=1) == plan(50, seed=1)
    assert plan(50, seed=1) != plan(50, seed=2)


def test_faults_that_need_the_faulty_server_come_together() -> None:
    spoiled = [fault.kind.spoils_replies for fault in plan(3 * len(KINDS), seed=3)]
    changes = sum(a != b for a, b in itertools.pairwise(spoiled))
    assert changes == 5  # in and out in each of three rounds, and it ends there


def test_a_long_campaign_has_dead_links_of_up_to_a_minute() -> None:
    seconds = [fault.seconds for fault in plan(300, 0) if fault.kind.name == 'link-dead']
    assert max(seconds) == 60.0
    assert min(seconds) == 1.0


@pytest.mark.parametrize(('count', 'only', 'named'), [(0, [], '--count'), (3, ['fire'], '--only')])
def test_a_plan_that_cannot_be_is_refused(count: int, only: list[str], named: str) -> None:
    with pytest.raises(InvalidValueError, match=named):
        plan(count, 0, only)


def test_growth_is_told_of_a_process_that_has_warmed_up_and_starts_anew_with_its_pid() -> None:
    health = ProcessHealth(warm_up_s=0.0)
    pids = {'this': os.getpid()}
    for _ in range(2 * MEDIAN_SAMPLES - 1):
        health.sample(pids)
    assert health.growth() == []
    done = threading.Event()
    threads = [threading.Thread(target=done.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    ballast = bytearray(os.urandom(32 << 20))
    for _ in range(MEDIAN_SAMPLES):
        health.sample(pids)
    done.set()
    for thread in threads:
        thread.join()
    (growth,) = health.growth()
    assert growth.rss_end_mib - growth.rss_start_mib > 0.8 * (len(ballast) >> 20)
    assert growth.rss_growth == pytest.approx(growth.rss_end_mib / growth.rss_start_mib - 1.0)
    assert growth.threads_end - growth.threads_start == 3
    assert growth.keeps_adding_threads
    health.sample({'this': os.getppid()})
    assert health.growth() == []


def test_a_pool_that_was_full_early_is_no_growth() -> None:
    breathing = ProcessGrowth('server', 40, 100.0, 100.0, 100.0, 12, 13, 13, 13)
    assert not breathing.keeps_adding_threads


def test_a_process_that_is_warming_up_is_not_judged() -> None:
    health = ProcessHealth(warm_up_s=LATER_S * LATER_S)
    for _ in range(4 * MEDIAN_SAMPLES):
        health.sample({'this': os.getpid()})
    assert health.growth() == []


def test_a_process_that_is_gone_is_passed_over() -> None:
    health = ProcessHealth(warm_up_s=0.0)
    health.sample({'gone': 2**22 + 1})
    assert health.growth() == []


def record(number: int, kind: str, slots: int | None, *violations: str) -> FaultRecord:
    return FaultRecord(number, kind, 1.0, slots, 0.5 * number, 10, 4, 5, 1, violations)


def test_a_summary_tells_of_each_kind_how_many_passed_and_how_long_they_took() -> None:
    records = [record(1, 'a', 1), record(2, 'b', None, 'never'), record(3, 'a', 4, 'late')]
    a, b = summarize(records)
    assert (a.kind, a.count, a.passed, a.median_slots, a.max_slots) == ('a', 2, 1, 2.5, 4)
    assert (a.max_gap_slots, a.arrived, a.dropped) == (1.5, 20, 2)
    assert (b.kind, b.passed, b.median_slots, b.max_slots) == ('b', 0, None, None)
