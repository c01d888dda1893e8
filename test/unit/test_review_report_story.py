"""What the report says in words is what the data says, and nothing else."""

from __future__ import annotations

import dataclasses
import math
import re

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from report_runs import (
    LARGE,
    POINTS,
    SMALL,
    decision,
    make_run,
    nothing_measured,
    settings,
    state,
    view_of,
)

from visionscaling_ros.datatypes import Allocation, Binding, Explanation, Origin
from visionscaling_ros.review.report.side_records import (
    FrameFate,
    GpuReading,
    LinkReading,
    SideRecords,
)
from visionscaling_ros.review.report.story import notes, story
from visionscaling_ros.review.report.tiles import tiles


def words(run, side: SideRecords | None = None) -> str:
    return ' '.join(story(view_of(run, side)))


def test_frames_and_their_fates_are_counted() -> None:
    text = words(make_run([state(n) for n in range(12)]))
    assert 'ran for 12 s, in 12 slots of 1 s, with a target of 0.5 mAP.' in text
    assert 'In 12 s 360 frames arrived; 300 were processed (83 %), 120 of them at the edge.' in text
    assert '60 frames were dropped: a newer frame took their place.' in text


def test_one_frame_is_singular() -> None:
    one = state(
        0, arrival_fps=1.0, processed_local_fps=1.0, processed_edge_fps=0.0, dropped_fps=0.0,
        drop_counts={}, processed=(Allocation('large', 640, Origin.LOCAL, 1.0),), in_flight=1,
    )  # fmt: skip
    text = words(make_run([one]))
    assert 'in 1 slot of 1 s' in text
    assert '1 frame arrived; 1 was processed (100 %), on the robot. None was dropped.' in text
    assert 'At the end 1 frame was still under way.' in text


def test_accuracy_by_table_is_told_with_the_longest_miss() -> None:
    low = (Allocation('small', 320, Origin.LOCAL, 25.0),)
    slots = [state(n, processed=low if n in {2, 5, 6} else state(n).processed) for n in range(12)]
    text = words(make_run(slots))
    assert 'the target of 0.5 mAP was met on average (0.49' not in text
    assert 'in 3 of 12 slots, the longest stretch from 5 s to 7 s.' in text
    assert 'ground truth' not in text


def test_measured_accuracy_is_told_beside_that_of_the_table() -> None:
    text = words(make_run([state(n, map_measured=True, achieved_map=0.45) for n in range(12)]))
    missed = 'the target of 0.5 mAP was missed on average (0.45) and in every slot.'
    assert f'Measured against ground truth, {missed}' in text
    by_table = 'By the accuracy table, which the controller goes by, '
    assert f'{by_table}the target of 0.5 mAP was met' in text


def test_the_times_the_edge_was_away_are_told() -> None:
    slots = [state(n, edge_reachable=n not in {2, 3, 7}) for n in range(10)]
    assert (
        'The edge server was out of reach twice, for 3 s in all: from 2 s to 4 s and from 7 s to '
        '8 s.' in words(make_run(slots))
    )
    once = [state(n, edge_reachable=n != 4) for n in range(10)]
    assert 'out of reach once, from 4 s to 5 s.' in words(make_run(once))


def test_an_edge_that_never_was_is_told_so() -> None:
    assert 'The edge server was never in reach.' in words(
        make_run([state(n, edge_reachable=False) for n in range(5)])
    )
    assert 'Use of the edge was not allowed.' in words(
        make_run([state(n) for n in range(5)], told=[settings(allow_edge=False)])
    )


def test_the_servers_that_were_used_are_named() -> None:
    run = make_run([state(n) for n in range(5)])
    one = SideRecords(link=[LinkReading(101.0 + n, 'near:8001') for n in range(3)])
    assert 'Its address was near:8001.' in words(run, one)
    two = SideRecords(link=[*one.link, LinkReading(104.5, 'far:8001')])
    assert '2 addresses were used: near:8001 and far:8001.' in words(run, two)


def test_the_clock_is_explained_by_the_limits_of_its_decisions() -> None:
    full = Explanation(binding_constraints=Binding.COMPUTE)
    run = make_run(
        [state(n) for n in range(11)],
        decisions={n: decision(n, explanation=full) for n in range(1, 6)},
    )
    assert (
        'The GPU ran at 600 MHz all the time: it was decided in all of those slots and in 50 % of '
        'them the robot was as busy as it may be.' in words(run)
    )


def test_what_held_the_clock_back_is_told() -> None:
    side = SideRecords(
        gpu=[
            GpuReading(101.0 + n, math.inf, 'soft limit' if n < 2 else '', 'ina3221')
            for n in range(5)
        ]
    )
    text = words(make_run([state(n) for n in range(5)]), side)
    assert '2 readings of 5 of the GPU named a reason that held its clock back: soft limit.' in text
    assert 'It took 10 W on average (ina3221), where 9.5 W were expected.' in text


def test_power_by_the_model_is_not_called_measured() -> None:
    side = SideRecords(gpu=[GpuReading(101.0, math.inf, '', 'model')])
    text = words(make_run([state(n) for n in range(5)]), side)
    assert '10 W on average (by the power model, not measured)' in text


def test_settings_that_changed_are_told_with_their_time() -> None:
    told = [settings(1), settings(2, accuracy_target_map=0.4, allow_edge=False)]
    told[1] = dataclasses.replace(told[1], policy='fixed')
    slots = [state(n, settings_version=1 if n < 31 else 2) for n in range(40)]
    assert (
        'Settings were changed at 31 s: policy from visionscaling_meta to fixed, '
        'accuracy_target_map from 0.5 to 0.4 and allow_edge from yes to no.'
        in words(make_run(slots, told=told))
    )


def test_what_was_not_measured_is_told_as_not_known() -> None:
    view = view_of(make_run([nothing_measured(n) for n in range(12)]))
    text = ' '.join(story(view))
    for sentence in (
        'none was processed', 'The accuracy of the run is not known.',
        'The edge server was never in reach.', 'The GPU clock is not known.',
        'The power is not known', 'would have cost is not known',
    ):  # fmt: skip
        assert sentence in text
    assert not re.search(r'\bnan\b', text.lower())
    assert 'unknown' not in text
    values = {tile.label: tile.value for tile in tiles(view)}
    for label in ('Power', 'Energy', 'Regret', 'Accuracy measured', 'Latency at the edge'):
        assert values[label] == 'not known'
    assert values['Edge in reach'] == '0 %'


def test_latencies_are_of_the_frames_of_the_run_only() -> None:
    frames = [FrameFate(100.5 + n / 10, True, False, 0.050) for n in range(20)]
    frames.append(FrameFate(900.0, True, False, 9.0))  # of another run
    text = words(make_run([state(n) for n in range(3)]), SideRecords(frames=frames))
    assert '95 % of the frames were done within 50 ms on the robot, waiting included.' in text


def test_gaps_and_what_could_not_be_read_are_noted() -> None:
    slots = [state(n) for n in (5, 6, 9)]
    run = make_run(slots, skipped={'/slot_state': 1}, decisions={6: None})
    told = ' '.join(notes(view_of(run, SideRecords(skipped={'/frame_result': 2}))))
    assert 'The bag begins with slot 5' in told
    assert '2 slots were not recorded (the first is number 7)' in told
    assert '1 message of /slot_state could not be read.' in told
    assert '2 messages of /frame_result could not be read.' in told
    assert 'For 1 slot there is no decision in the bag.' in told
    whole = make_run([state(n) for n in range(3)])  # none is decided for the first slot of a run
    assert notes(view_of(whole)) == []


def test_waiting_for_the_first_frame_is_not_a_decision_lost() -> None:
    idle = {'policy': '', 'arrival_fps': 0.0, 'processed_local_fps': 0.0, 'processed': ()}
    run = make_run([state(0, **idle), *[state(n) for n in range(1, 4)]])
    slots = (*[run.slots[0]] * 3, *run.slots[1:])
    told = ' '.join(notes(view_of(dataclasses.replace(run, slots=slots, untold_slots=2))))
    assert 'In 3 slots nothing had been decided yet.' in told
    assert '2 slots were left out: the settings in force in them are not in the bag.' in told
    assert 'no decision in the bag' not in told


def test_the_same_plan_all_along_says_nothing_of_rates() -> None:
    others = decision(2, allocations=(Allocation('large', 640, Origin.LOCAL, 9.0), SMALL))
    run = make_run([state(n) for n in range(4)], decisions={2: others})
    same = 'Configurations, places and the GPU clock stayed the same in all of 3 decisions.'
    assert same in words(run)
    assert 'One decision is in the bag.' in words(make_run([state(4)]))


def test_what_processed_a_few_frames_is_not_left_out() -> None:
    few = tuple(
        dataclasses.replace(used, rate_fps=rate_fps)
        for used, rate_fps in ((LARGE, 24.95), (SMALL, 0.05))
    )
    text = words(make_run([state(n, processed=few) for n in range(20)]))
    assert 'All were processed' not in text
    assert '2 configurations were used' in text


def test_a_target_out_of_reach_is_not_held_against_the_run() -> None:
    for feasible in (True, False):
        beliefs = dataclasses.replace(state(1).beliefs, target_feasible=feasible)
        slots = [state(n, cumulative_fit=9.0, beliefs=beliefs) for n in range(12)]
        assert ('which they may not' in words(make_run(slots))) is feasible


def test_of_many_changes_the_first_are_told() -> None:
    told = [settings(n + 1, accuracy_target_map=0.3 + n / 100) for n in range(30)]
    text = words(make_run([state(n, settings_version=n + 1) for n in range(30)], told=told))
    assert 'with targets of 0.3 to 0.59 mAP.' in text
    assert text.count('Settings were changed at') == 6
    assert 'After that they were changed 23 times more.' in text


def test_power_is_compared_where_it_was_expected() -> None:
    slots = [state(n, power_w=4.0 if n < 5 else 10.0) for n in range(10)]
    run = make_run(slots, decisions=dict.fromkeys(range(5)))
    told = 'It took 7 W on average, where 9.5 W were expected in slots that took 10 W.'
    assert told in words(run)


def test_a_clock_that_went_back_is_noted_and_time_goes_on() -> None:
    run = make_run([state(n) for n in range(6)], ends_s={n: 50.0 + n for n in range(3, 6)})
    view = view_of(run)
    assert view.series.end_s.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert 'went back at the end of 1 slot (the first is number 3)' in ' '.join(notes(view))


def test_a_gap_ends_a_stretch_of_time() -> None:
    run = make_run([state(n, edge_reachable=n == 0) for n in (0, 1, 2, 6, 7)])
    found = view_of(run).series.stretches(view_of(run).series.edge_away)
    assert found == [(1.0, 3.0), (6.0, 8.0)]


_anything = st.floats(allow_nan=True, allow_infinity=True)
_FIELDS = (
    'arrival_fps', 'processed_local_fps', 'processed_edge_fps', 'dropped_fps', 'power_w',
    'gpu_frequency_hz', 'gpu_utilization', 'gpu_temperature_c', 'uplink_capacity_bps',
    'rtt_s', 'server_share', 'achieved_map', 'cost', 'constraint', 'duration_s',
)  # fmt: skip


_slots = st.lists(st.fixed_dictionaries(dict.fromkeys(_FIELDS, _anything)), min_size=1, max_size=4)


@examples(deadline=None, max_examples=50)
@given(_slots)
def test_whatever_was_measured_something_is_told(fields: list[dict[str, float]]) -> None:
    run = make_run([state(n, operating_points=POINTS, **each) for n, each in enumerate(fields)])
    text = words(run)
    assert text
    assert not re.search(r'\b(nan|inf)\b', text.lower())


@pytest.mark.parametrize(('missed', 'word'), [(0, 'met'), (12, 'missed')])
def test_every_slot_is_told_as_every_slot(missed: int, word: str) -> None:
    low = (Allocation('small', 320, Origin.LOCAL, 25.0),)
    high = (Allocation('large', 640, Origin.LOCAL, 25.0),)
    text = words(make_run([state(n, processed=low if missed else high) for n in range(12)]))
    assert f'was {word} on average' in text
    assert 'and in every slot.' in text
