"""Which traces, policies and worlds a benchmark runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from visionscaling_ros.control.policy import POLICY_NAMES
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.simulation import plan

CSV = 'time_s,rate_bps\n0,1e6\n5,2e6\n'


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    (tmp_path / 'b.csv').write_text(CSV)
    (tmp_path / 'a.up').write_text('1\n500\n1000\n')
    for name in ('README.md', '.hidden', 'LICENSE', 'a.down'):
        (tmp_path / name).write_text('no trace')
    (tmp_path / 'folder').mkdir()
    return tmp_path


def jobs(scenarios: tuple[str, ...], traces: dict[str, str], *, cross: bool) -> list[plan.Job]:
    return plan.plan_jobs(
        traces=traces, scenarios=scenarios, cross=cross, seeds=range(5, 7), slots=10,
        device='tx2', target_map=None, policies=('fixed',),
    )  # fmt: skip


def test_traces_are_found_by_name(traces: Path) -> None:
    found = plan.find_traces(str(traces))
    assert list(found) == ['a.up', 'b.csv']
    assert found['b.csv'] == str(traces.resolve() / 'b.csv')
    assert list(plan.find_traces(str(traces / 'a.up'))) == ['a.up']
    assert plan.find_traces('') == {}


@pytest.mark.parametrize('place', ['missing', 'folder'])
def test_where_no_trace_is_the_place_is_named(traces: Path, place: str) -> None:
    with pytest.raises(InvalidValueError, match=place):
        plan.find_traces(str(traces / place))


def test_a_trace_that_cannot_be_read_is_named_with_its_line(traces: Path) -> None:
    (traces / 'c.csv').write_text('time_s,rate_bps\n0,1e6\n1,fast\n')
    with pytest.raises(InvalidValueError, match=r'c\.csv line 3'):
        plan.find_traces(str(traces))


def test_comparators_come_unless_told_otherwise() -> None:
    assert plan.choose_policies('fixed', comparators=True) == ('fixed', 'oracle', 'best_static')
    assert plan.choose_policies('oracle, fixed,oracle', comparators=False) == ('oracle', 'fixed')
    assert plan.choose_policies('all', comparators=False) == POLICY_NAMES


@pytest.mark.parametrize('text', ['', ',', 'fixed,magic', 'ALL'])
def test_a_policy_that_is_not_known_is_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(InvalidValueError, match=r'policies = .* allowed: all, or .*best_static'):
        plan.choose_policies(text, comparators=True)


def test_traces_run_as_they_are_and_scenarios_with_uplinks_of_theirs() -> None:
    scenarios = ('nominal', 'outages', 'bursty_arrivals')
    planned = jobs(scenarios, {'a.up': '/x/a.up'}, cross=False)
    assert [(job.trace, job.trace_file, job.scenario, job.seed) for job in planned] == [
        ('a.up', '/x/a.up', 'nominal', 5), ('a.up', '/x/a.up', 'nominal', 6),
        ('synthetic', '', 'outages', 5), ('synthetic', '', 'outages', 6),
        ('synthetic', '', 'bursty_arrivals', 5), ('synthetic', '', 'bursty_arrivals', 6),
    ]  # fmt: skip
    # outages are those of the uplink, and a trace has its own
    crossed = jobs(scenarios, {'a.up': '/x/a.up'}, cross=True)[len(planned) :]
    assert [(job.trace, job.trace_file, job.scenario) for job in crossed] == [
        ('a.up', '/x/a.up', 'bursty_arrivals')
    ] * 2


def test_nothing_to_run_is_told() -> None:
    with pytest.raises(InvalidValueError, match='scenarios'):
        jobs(('nominal',), {}, cross=True)


def test_all_scenarios_are_known() -> None:
    assert {'nominal', 'slow_drift', 'outages'} <= set(plan.choose_scenarios('all'))
    with pytest.raises(InvalidValueError, match='scenarios'):
        plan.choose_scenarios('sunny')
