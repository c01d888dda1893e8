"""A session keeps to its budget, can be stopped anywhere, and goes on as if it had not been."""

from __future__ import annotations

import json

import pytest

from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.profiling.journal import Journal, Record
from visionscaling_ros.profiling.schedule import Candidate, IdleVisit, JpegVisit, Plan, PointVisit
from visionscaling_ros.profiling.session import beaten, take_turns
from visionscaling_ros.profiling.summary import summarize

CANDIDATES = (
    Candidate('n', 192, 'torch'),
    Candidate('n', 192, 'onnxruntime'),
    Candidate('s', 192, 'torch'),
)
PLAN = Plan(CANDIDATES, (1e9, 2e9), ('street',), 0, 4)
SETTINGS = {'seed': 0, 'levels_mhz': [1000.0, 2000.0]}
TURN_S = 0.5


class Machine:
    """Measures by formula, on a clock of its own; every turn takes TURN_S of it."""

    def __init__(self, *, broken=None, stop_at=None, slow=1.2):
        self.now = 100.0
        self.taken = []
        self.factors = {'torch': slow, 'onnxruntime': 1.0}
        self.broken, self.stop_at = broken, stop_at

    def now_s(self):
        return self.now

    def measure(self, turn):
        if turn.number == self.stop_at:
            raise KeyboardInterrupt
        self.taken.append(turn)
        self.now += TURN_S
        visit = turn.visit
        if isinstance(visit, JpegVisit):
            return {'size_bytes': (9000.0 + turn.round,), 'encode_s': (0.001,)}
        meter = {'energy_j': (0.5,), 'duration_s': (0.1,)}
        if isinstance(visit, IdleVisit):
            return {**meter, 'busy_s': (0.0,)}
        if visit.candidate == self.broken and turn.round > 0:
            raise ModelError('n on torch: NaN')
        factor = self.factors[visit.candidate.engine]
        network_s = tuple(factor * (k + turn.round) / visit.frequency_hz * 1e6 for k in (1, 2, 3))
        return {'network_s': network_s, 'serial_s': (0.001,) * 3, 'busy_s': (0.1,), **meter}


def run(path, machine, *, budget_s=1e6, plan=PLAN, seen=None, restart=False):
    with Journal(path, SETTINGS, restart=restart) as journal:
        done = take_turns(
            plan, machine.measure, journal, budget_s=budget_s, now_s=machine.now_s,
            on_progress=(seen if seen is not None else []).append,
        )  # fmt: skip
        return done, dict(journal.records)


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'out' / 'profile.jsonl'


def test_every_turn_is_taken_in_order(path):
    machine, seen = Machine(), []
    done, records = run(path, machine, seen=seen)
    assert done
    assert machine.taken == list(PLAN.turns())
    assert list(records) == list(range(len(PLAN)))
    shares = [progress.share for progress in seen]
    assert shares == sorted(shares)
    assert 0.0 <= shares[0] < shares[-1] <= 1.0


@pytest.mark.parametrize('budget_s', [0.0, 0.1, 3.0, 4.2])
def test_no_turn_is_begun_once_the_budget_is_spent(path, budget_s):
    machine = Machine()
    done, _ = run(path, machine, budget_s=budget_s)
    spent_s = machine.now - 100.0
    assert not done
    assert budget_s <= spent_s < budget_s + TURN_S


def test_the_budget_counts_what_earlier_runs_have_spent(path):
    run(path, Machine(), budget_s=3.0)
    more = Machine()
    run(path, more, budget_s=5.0)
    assert len(more.taken) == 4
    nothing = Machine()
    run(path, nothing, budget_s=5.0)
    assert nothing.taken == []


@pytest.mark.parametrize('stop_at', [0, 1, 7, 20])
@pytest.mark.parametrize('broken', [None, CANDIDATES[0]])
@pytest.mark.parametrize('slow', [1.2, 3.0])
def test_stopped_and_gone_on_with_is_the_same_as_never_stopped(tmp_path, stop_at, broken, slow):
    machine = Machine(broken=broken, slow=slow)
    _, whole = run(tmp_path / 'whole', machine)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / 'parts', Machine(stop_at=stop_at, broken=broken, slow=slow))
    rest = Machine(broken=broken, slow=slow)
    done, parts = run(tmp_path / 'parts', rest)
    assert done
    assert len(rest.taken) < len(machine.taken) or stop_at == 0
    assert parts == whole
    assert summarize(PLAN, parts) == summarize(PLAN, whole)


def test_more_rounds_go_on_where_fewer_ended(path):
    fewer = Plan(CANDIDATES, (1e9, 2e9), ('street',), 0, 2)
    run(path, Machine(), plan=fewer)
    more = Machine()
    done, records = run(path, more)
    assert done
    assert len(more.taken) == len(PLAN) - len(fewer)
    assert records == run(path.with_name('whole'), Machine())[1]


def test_a_model_that_fails_is_left_out_and_the_rest_goes_on(path):
    machine = Machine(broken=CANDIDATES[0])
    done, records = run(path, machine)
    assert done
    summary = summarize(PLAN, records)
    assert summary.failed == {CANDIDATES[0]: 'n on torch: NaN'}
    assert {point.candidate for point in summary.points} == set(CANDIDATES[1:])
    tries = [turn for turn in machine.taken
             if isinstance(turn.visit, PointVisit) and turn.visit.candidate == CANDIDATES[0]
             and turn.round > 0]  # fmt: skip
    assert len(tries) == 1


def test_an_engine_that_is_far_slower_is_measured_everywhere_but_not_refined(path):
    machine = Machine(slow=10.0)
    _, records = run(path, machine)
    assert beaten(PLAN, records) == {CANDIDATES[0]}  # s has no other engine
    rounds = {candidate: {turn.round for turn in machine.taken
                          if isinstance(turn.visit, PointVisit)
                          and turn.visit.candidate == candidate}
              for candidate in CANDIDATES}  # fmt: skip
    everywhere = {0, 1, 2, 3}
    assert list(rounds.values()) == [{0, 1}, everywhere, everywhere]
    levels = [point.frequency_hz for point in summarize(PLAN, records).of(CANDIDATES[0])]
    assert levels == [1e9, 2e9]


def test_medians_are_over_all_rounds_and_the_fastest_engine_wins(path):
    _, records = run(path, Machine())
    summary = summarize(PLAN, records)
    assert summary.fastest('n', 192) == CANDIDATES[1]
    assert summary.fastest('m', 192) is None
    low, high = summary.of(CANDIDATES[0])
    assert (low.frequency_hz, high.frequency_hz) == (1e9, 2e9)
    # in four rounds of three, 1 to 6 times 1.2 ms, and 1 ms
    assert low.latency_s.median == pytest.approx(1.2 * 3.5e-3 + 1e-3)
    assert low.undisturbed.network_s == pytest.approx(1.2 * 1.5e-3)  # 1 and 2 of 1, 2, 3, 4
    assert low.undisturbed.latency_s == pytest.approx(1.2 * 1.5e-3 + 1e-3)
    assert (low.rounds, low.latency_s.samples) == (4, 12)
    assert low.latency_s.p10 < low.latency_s.median < low.latency_s.p90
    assert low.power.power_w == pytest.approx(5.0)
    assert (low.power.utilization, summary.idle[1e9].utilization) == (1.0, 0.0)
    (jpeg,) = summary.jpegs
    assert jpeg.size_bytes.median == pytest.approx(9001.5)


def written(path):
    run(path, Machine(), budget_s=3.0)
    return path.read_bytes()


@pytest.mark.parametrize('cut', [1, 5, 30])
def test_a_truncated_last_line_is_dropped_and_measured_again(path, cut):
    whole = written(path)
    path.write_bytes(whole[:-cut])
    machine = Machine()
    _, records = run(path, machine)
    assert machine.taken[0].number == whole.count(b'\n') - 2
    assert records == run(path.with_name('whole'), Machine())[1]


@pytest.mark.parametrize(
    'line',
    [
        b'\x00\xff\x00', b'[]', b'{}', b'{"turn": 1}', b'{"turn": 1, "spent_s": 1}',
        b'{"turn": 1, "spent_s": 1, "network_s": [-1.0]}',
        b'{"turn": 1, "spent_s": 1, "network_s": [NaN]}',
        b'{"turn": 1, "spent_s": 1, "network_s": []}',
        b'{"turn": true, "spent_s": "x", "network_s": [1.0]}',
        b'{"turn": 0, "spent_s": 1, "network_s": [1.0]}',
    ],
)  # fmt: skip
def test_a_damaged_line_is_refused_by_file_and_number(path, line):
    lines = written(path).split(b'\n')
    lines[2] = line
    path.write_bytes(b'\n'.join(lines))
    with pytest.raises(InvalidValueError, match=r'profile\.jsonl: line 3.*--restart'):
        run(path, Machine())
    done, _ = run(path, Machine(), restart=True)
    assert done


def test_other_settings_are_refused_with_both_values(path):
    written(path)
    says = r'levels_mhz = \[1000.0, 2000.0\] is not allowed.*\[500.0\].*--restart'
    with pytest.raises(InvalidValueError, match=says):
        Journal(path, {**SETTINGS, 'levels_mhz': [500.0]})
    with Journal(path, {**SETTINGS, 'levels_mhz': [500.0]}, restart=True) as journal:
        assert journal.records == {}


def test_what_is_no_journal_is_left_as_it_is(path):
    path.parent.mkdir()
    path.write_text('name: mine\n')
    with pytest.raises(InvalidValueError, match='line 1'):
        Journal(path, SETTINGS)
    assert path.read_text() == 'name: mine\n'


def test_a_journal_has_one_writer(path):
    refused = pytest.raises(InvalidValueError, match='no other process is writing')
    with Journal(path, SETTINGS), refused:
        Journal(path, SETTINGS)
    with Journal(path, SETTINGS) as journal:
        assert journal.spent_s == 0.0


def test_a_record_is_on_disk_when_append_returns(path):
    with Journal(path, SETTINGS) as journal:
        journal.append(Record(0, 1.5, {'encode_s': (0.25,)}))
        lines = path.read_text().splitlines()
    assert json.loads(lines[-1]) == {'turn': 0, 'spent_s': 1.5, 'encode_s': [0.25]}
