"""Settings searched on recorded runs: kept bounds, honest checks, a file that ROS takes."""

from __future__ import annotations

import dataclasses
import json
import math
import sys

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from recorded_bags import write_run

from visionscaling_ros.cli.main import main
from visionscaling_ros.control.settings import RANGES, ControlSettings
from visionscaling_ros.errors import InvalidValueError, VisionScalingError
from visionscaling_ros.review.parameter_file import ParameterFile, write_parameters, yaml_text
from visionscaling_ros.review.recorded_run import read_runs
from visionscaling_ros.review.tune.goal import Goal
from visionscaling_ros.review.tune.result import comments_of, result_of
from visionscaling_ros.review.tune.search import Search
from visionscaling_ros.review.tune.searched import first_values, searched_for
from visionscaling_ros.review.tune.tuned_run import tuned_run
from visionscaling_ros.review.whatif.figures import figures_of
from visionscaling_ros.review.whatif.run_slots import run_slots
from visionscaling_ros.review.whatif.trust import NO_UPLINK

META = 'visionscaling_meta'
RECORDED = ControlSettings(accuracy_target_map=0.48, full_rate_fps=20.0)


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    return write_run(
        tmp_path_factory.mktemp('bag') / 'run', slots=60, settings=RECORDED, scenario='nominal'
    )


@pytest.fixture(scope='module')
def run(bag):
    return tuned_run('run /', run_slots(read_runs(bag)[0]), margin=1.0, seed=0)


def searched_in(run, goal, *, trials=12, seed=0, policy=META) -> Search:
    search = Search((run,), policy, goal)
    search.run(trials, seed, lambda _: None)
    return search


def test_what_is_found_keeps_the_bounds_with_room_and_is_the_best_that_does(run):
    before = run.play(META, RECORDED).searched
    most_w = before.power_w - 0.1
    search = searched_in(run, Goal(0.4, max_power_w=most_w), trials=14)
    best = search.best
    figures = best.parts[0].searched
    assert best.reaches
    assert figures.power_w + best.parts[0].margins['power_w'] <= most_w
    assert figures.map - best.parts[0].margins['map'] >= 0.4
    kept = [tried for tried in search.tried if tried.reaches]
    assert best.score <= min(tried.score for tried in kept)
    assert figures.processed_fps > before.processed_fps - 0.5


def test_slots_kept_back_are_not_searched_on(run):
    """Whatever was measured in them, model and margins are the same."""
    def spoilt(t, state):
        return state if run.searched[t] else dataclasses.replace(
            state, power_w=99.0, gpu_utilization=1.0, processed_local_fps=0.1, processed=(),
            latency_local_mean_s=9.0, operating_points=(),
        )  # fmt: skip

    states = tuple(spoilt(t, s) for t, s in enumerate(run.slots.states))
    other = tuned_run(
        'run /', dataclasses.replace(run.slots, states=states), margin=1.0, seed=0
    )
    one, same = other.play(META, RECORDED), run.play(META, RECORDED)
    assert one.margins == same.margins
    assert one.searched == same.searched
    assert int(run.searched.sum()) == round(0.6 * len(run.slots))


def test_checked_figures_are_those_of_the_slots_kept_back(run):
    parts = run.play(META, RECORDED)
    series = run.model.play(META, RECORDED).series.part(~run.searched)
    assert parts.kept_back == figures_of(series, np.zeros(len(series)))


def test_the_same_seed_finds_the_same(run):
    goal = Goal(0.4, max_power_w=10.5)
    values = [
        [t.values for t in searched_in(run, goal, trials=10, seed=s, policy='dms').tried]
        for s in (5, 5, 6)
    ]
    assert values[0] == values[1]
    assert values[0] != values[2]


def test_the_recorded_settings_are_tried_first(run):
    goal = Goal(0.4, max_power_w=50.0)
    first = searched_in(run, goal, trials=1).tried[0]
    assert first.values == first_values(RECORDED, searched_for(META, goal), goal)[0]
    assert first.values['weight_rate'] == RECORDED.weight_rate


def test_then_other_targets_with_what_was_recorded_are_tried():
    searched = searched_for(META, Goal(0.4, max_power_w=50.0))
    given, *others = first_values(RECORDED, searched, Goal(0.4, max_power_w=50.0))
    targets = [values['accuracy_target_map'] for values in others]
    assert targets == sorted(set(targets))
    assert (targets[0], targets[-1]) == (0.4, searched[0].high)
    for values in others:
        assert {**values, 'accuracy_target_map': 0.0} == {**given, 'accuracy_target_map': 0.0}


def test_what_does_not_matter_is_left_as_recorded(run):
    search = searched_in(run, Goal(0.45, max_power_w=50.0), trials=3)
    result = result_of(search, interrupted=False)
    assert set(result.changes) <= set(search.best.values)
    again = search.try_values(search.best.values)
    assert again.score == search.best.score


def test_bounds_nothing_reaches_give_the_closest(run):
    search = searched_in(run, Goal(0.4, max_power_w=4.0), trials=5)
    assert not search.best.reaches
    missed = [sum(max(x, 0.0) for x in tried.excess) for tried in search.tried]
    assert sum(max(x, 0.0) for x in search.best.excess) <= min(missed)


def test_a_larger_margin_keeps_further_away(run):
    goal = Goal(0.4, max_power_w=10.2)
    one, wide = (dataclasses.replace(run, margin=m).play(META, RECORDED) for m in (1.0, 3.0))
    (_, power) = goal.limits
    assert wide.searched == one.searched
    assert wide.margins['power_w'] == pytest.approx(3.0 * one.margins['power_w'])
    assert power.excess(wide.searched, wide.margins) > power.excess(one.searched, one.margins)
    assert power.excess(one.searched, one.margins) > power.excess(one.searched)


def test_what_ran_in_no_slot_keeps_further_away(run):
    """By the error in configurations that the model was not fitted to."""
    assert run.play('fixed', RECORDED).known_share < 0.1
    off = {n: dataclasses.replace(e, uncertainty=9.0) for n, e in run.trust.error.by_metric.items()}
    elsewhere = dataclasses.replace(run.trust.error, by_metric=off)
    trust = dataclasses.replace(run.trust, elsewhere=elsewhere)
    parts = dataclasses.replace(run, trust=trust).play('fixed', RECORDED)
    for name in ('power_w', 'processed_fps'):
        inside = run.trust.error.by_metric[name].uncertainty
        share = parts.known_share
        expected = share * inside + (1.0 - share) * 9.0 + run.trust.loop_error[name]
        assert parts.margins[name] == pytest.approx(expected)


def test_a_target_below_the_one_asked_for_is_not_left_as_recorded(run):
    """However little it mattered in this run."""
    lower = dataclasses.replace(RECORDED, accuracy_target_map=0.2, fixed_model='yolov8x')
    slot = run.slots.run.slots[-1]
    last = dataclasses.replace(slot, settings=dataclasses.replace(slot.settings, settings=lower))
    recorded = dataclasses.replace(run.slots.run, slots=(*run.slots.run.slots[:-1], last))
    slots = dataclasses.replace(run.slots, run=recorded)
    search = searched_in(
        dataclasses.replace(run, slots=slots), Goal(0.4), trials=1, policy='fixed'
    )
    assert result_of(search, interrupted=False).changes['accuracy_target_map'] >= 0.4


def test_a_figure_never_measured_has_no_margin_and_that_is_said(run):
    states = tuple(dataclasses.replace(s, power_w=math.nan) for s in run.slots.states)
    blind = tuned_run('blind /', dataclasses.replace(run.slots, states=states), margin=1.0, seed=0)
    search = searched_in(blind, Goal(0.4, max_power_w=50.0), trials=1)
    result = result_of(search, interrupted=False)
    (words,) = result.doubts
    assert words.startswith('power [W] was not measured where searched in blind /')
    assert words in comments_of(result, ['bag'], 0)


def test_offloading_that_no_slot_tells_of_is_doubted(tmp_path):
    bag = write_run(tmp_path / 'b', slots=40, settings=RECORDED, policy='fixed')
    alone = tuned_run('alone /', run_slots(read_runs(bag)[0]), margin=1.0, seed=0)
    result = result_of(searched_in(alone, Goal(0.4), trials=1), interrupted=False)
    assert result.doubts == (f'In alone / it {NO_UPLINK}.',)


def test_another_policy_has_its_own_settings_and_is_named(run, tmp_path):
    search = searched_in(run, Goal(0.4, min_fps=5.0), trials=2, policy='autoscale')
    assert {s.name for s in search.searched} == {'accuracy_target_map', 'latency_target_s'}
    assert result_of(search, interrupted=False).changes['policy'] == 'autoscale'


def test_of_several_runs_the_worst_has_to_keep_the_bounds(run, tmp_path):
    other = tuned_run(
        'other /',
        run_slots(
            read_runs(write_run(tmp_path / 'b', slots=40, settings=RECORDED, scenario='outages'))[0]
        ),
        margin=1.0,
        seed=0,
    )
    goal = Goal(0.4, max_power_w=10.2)
    both = Search((run, other), META, goal)
    tried = both.try_values({'weight_rate': 20.0})
    alone = [Search((r,), META, goal).try_values({'weight_rate': 20.0}) for r in (run, other)]
    assert tried.excess == tuple(map(max, *(a.excess for a in alone)))
    assert tried.score == pytest.approx(sum(a.score for a in alone) / 2.0)


def test_ctrl_c_keeps_the_best_so_far(bag, tmp_path, capsys, monkeypatch):
    tried = Search.try_values

    def interrupted(self, values):
        if len(self.tried) == 4:
            raise KeyboardInterrupt
        return tried(self, values)

    monkeypatch.setattr(Search, 'try_values', interrupted)
    out = tmp_path / 'tuned.yaml'
    command = ['tune', str(bag), '--target-map', '0.4', '--max-power', '10.2', '--out', str(out)]
    assert main([*command, '--trials', '50', '--json', str(tmp_path / 't.json')]) == 130
    assert 'interrupted after 4 of 50 trials' in capsys.readouterr().err
    document = json.loads((tmp_path / 't.json').read_text(encoding='utf-8'))
    assert len(document['trials']) == 4
    assert document['interrupted'] is True


def test_the_command_writes_what_changes_and_what_to_expect(bag, tmp_path, capsys):
    out, picture = tmp_path / 'tuned.yaml', tmp_path / 't.png'
    command = ['tune', str(bag), '--target-map', '0.4', '--max-power', '10.2', '--trials', '12']
    assert main([*command, '--out', str(out), '--plot', str(picture)]) == 0
    told = capsys.readouterr().out
    for words in ('model, tuned settings', 'kept from every bound', 'searched', 'checked'):
        assert words in told
    text = out.read_text(encoding='utf-8')
    assert '# visionscaling tune' in text
    assert 'off by up to' in text
    content = yaml.safe_load(text)
    values = content['/controller_node']['ros__parameters']
    assert values
    for name, value in values.items():
        assert value != getattr(RECORDED, name)
        assert type(value) is float
    assert ParameterFile(out).values('/') == values
    assert picture.read_bytes().startswith(b'\x89PNG')


def test_bounds_nothing_reaches_have_a_status_of_their_own(bag, tmp_path, capsys):
    out = tmp_path / 'tuned.yaml'
    command = ['tune', str(bag), '--target-map', '0.4', '--max-power', '4', '--trials', '3']
    assert main([*command, '--out', str(out)]) == 1
    assert 'No settings tried reach the bounds' in capsys.readouterr().out
    assert 'NOT REACHED' in out.read_text(encoding='utf-8')


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--target-map', '0'], 'target_map'),
        (['--target-map', '0.4', '--max-power', '-1'], 'max_power_w'),
        (['--target-map', '0.4', '--trials', '0'], 'trials'),
        (['--target-map', '0.4', '--margin', 'nan'], 'margin'),
        (['--target-map', '0.4', '--plot', 'x.txt'], 'plot'),
        (['--target-map', '0.4', '--out', '/'], 'a file to write'),
        (['--target-map', '0.4', '--namespace', '/nobody'], '/nobody'),
    ],
)
def test_what_makes_no_sense_is_refused(bag, capsys, options, words):
    assert main(['tune', str(bag), *options]) == 2
    assert words in capsys.readouterr().err


def test_short_runs_are_left_out(tmp_path, capsys):
    path = write_run(tmp_path / 'bag', slots=20)
    assert main(['tune', str(path), '--target-map', '0.4']) == 2
    err = capsys.readouterr().err
    assert '19 decided slots' in err
    assert 'none of the runs' in err


def test_without_optuna_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, 'optuna', None)
    with pytest.raises(VisionScalingError, match=r'visionscaling_ros\[review\]'):
        searched_in(run, Goal(0.4), trials=1)


def test_what_is_usual_to_make_best():
    assert Goal(0.4, max_power_w=7.0, min_fps=3.0).objective == 'frames'
    assert Goal(0.4, min_fps=3.0).objective == 'power'
    assert Goal(0.4, max_latency_s=0.2).objective == 'energy'
    with pytest.raises(InvalidValueError, match='objective'):
        Goal(0.4, objective='beauty')


def test_what_is_searched_can_be_set():
    limits = {name: (low, high) for name, low, high in RANGES}
    for policy in (META, 'visionscaling', 'autoscale', 'dms', 'fixed'):
        for searched in searched_for(policy, Goal(0.99, min_fps=900.0)):
            low, high = limits[searched.name]
            assert low <= searched.low < searched.high <= high


def test_nothing_processed_misses_a_rate_and_no_latency(run):
    idle = dataclasses.replace(
        run.play(META, RECORDED).searched, processed_fps=math.nan, latency_p95_s=math.nan
    )
    excess = {x.figure: x.excess(idle) for x in Goal(0.4, max_latency_s=0.1, min_fps=3.0).limits}
    assert excess['processed_fps'] > 0.0
    assert excess['latency_p95_s'] <= 0.0


# ---- the file


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_back_as_the_same_float(value):
    back = yaml.safe_load(yaml_text(value))
    assert type(back) is float
    assert back == value


def test_every_robot_has_its_section(tmp_path):
    path = tmp_path / 'out' / 'p.yaml'
    values = {'weight_rate': 1e-05, 'policy': 'dms'}
    write_parameters(path, ['/', '/drone1', '/'], values, ['by hand', ''])
    assert yaml.safe_load(path.read_text(encoding='utf-8')) == {
        '/controller_node': {'ros__parameters': values},
        '/drone1/controller_node': {'ros__parameters': values},
    }
    with pytest.raises(InvalidValueError, match='out'):
        write_parameters(tmp_path, ['/'], values, [])
