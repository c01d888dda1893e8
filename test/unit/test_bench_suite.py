"""Suites: the same result from any number of processes, whatever fails or is interrupted."""

from __future__ import annotations

import os
import signal
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from visionscaling_ros.simulation.metrics import Row
from visionscaling_ros.simulation.suite import Job, run_job, run_suite
from visionscaling_ros.simulation.suite_result import Failure, PolicyResult, SlotsDone

POLICIES = ('fixed', 'visionscaling', 'oracle')
JOB = Job(
    trace='synthetic', trace_file='', scenario='fast_fading', seed=0, slots=30,
    device='agx_orin', target_map=None, policies=POLICIES,
)  # fmt: skip


def reproducible(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith('decision_s')}


def test_the_result_does_not_depend_on_the_number_of_processes() -> None:
    jobs = [replace(JOB, seed=seed) for seed in range(3)]
    told: list[int] = []
    one, two = (run_suite(jobs, processes, told.append) for processes in (1, 2))
    assert [reproducible(row) for row in one.rows] == [reproducible(row) for row in two.rows]
    assert one.curves == two.curves
    assert one.complete
    assert [(row['seed'], row['policy']) for row in one.rows] == [
        (seed, policy) for seed in range(3) for policy in POLICIES
    ]
    assert sum(told) == 2 * sum(job.total_slots for job in jobs)


def test_rows_and_curves_agree() -> None:
    emitted: list[Any] = []
    run_job(JOB, emitted.append)
    results = [value for value in emitted if isinstance(value, PolicyResult)]
    assert sum(v.slots for v in emitted if isinstance(v, SlotsDone)) == JOB.total_slots
    assert [result.policy for result in results] == list(POLICIES)
    for result in results:
        assert list(result.row) == [field.name for field in fields(Row)]
        assert result.curve['slots'][-1] == JOB.slots
        assert result.curve['regret'][-1] == pytest.approx(result.row['dynamic_regret'])
        assert result.curve['fit'][-1] == pytest.approx(result.row['fit'])
        assert np.all(np.isfinite(result.curve['regret']))


def test_a_world_that_fails_is_named_and_the_others_go_on() -> None:
    suite = run_suite([replace(JOB, scenario='sunny'), JOB], 2, lambda slots: None)
    assert [failure.name for failure in suite.failures] == ['synthetic, sunny, seed 0']
    assert 'sunny' in suite.failures[0].error
    assert len(suite.rows) == len(POLICIES)
    assert not suite.complete


def test_a_policy_that_fails_is_named_and_the_others_go_on() -> None:
    emitted: list[Any] = []
    run_job(replace(JOB, policies=('magic', 'fixed')), emitted.append)
    (failure,) = [value for value in emitted if isinstance(value, Failure)]
    assert failure.name == 'synthetic, fast_fading, seed 0, magic'
    assert [v.policy for v in emitted if isinstance(v, PolicyResult)] == ['fixed']


def test_an_interrupted_suite_keeps_what_is_done() -> None:
    jobs = [JOB, replace(JOB, slots=10**6, seed=1)]
    done = 0

    def interrupt(slots: int) -> None:
        nonlocal done
        done += slots
        if done == JOB.total_slots:
            os.kill(os.getpid(), signal.SIGINT)

    suite = run_suite(jobs, 1, interrupt)
    assert suite.interrupted
    assert not suite.complete
    assert {row['seed'] for row in suite.rows} == {0}
