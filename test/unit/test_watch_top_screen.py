"""What top draws fits its terminal, whatever the robots tell, and leaves nothing essential out."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import datetime
from io import StringIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from watch_examples import DECISIONS, MIXES, NAMES, NUMBERS, STATES, decided, measured

from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Binding
from visionscaling_ros.json_file import json_text
from visionscaling_ros.watch.readings import (
    GpuReading,
    InferenceReading,
    LinkReading,
    Status,
)
from visionscaling_ros.watch.robot_document import robot_document
from visionscaling_ros.watch.robot_view import RobotView, Sample
from visionscaling_ros.watch.robot_words import robot_line
from visionscaling_ros.watch.top_screen import TopScreen

NOW = datetime(2026, 5, 4, 12, 3, 4)
GPU = GpuReading(
    frequency_hz=1.198e9,
    set_frequency_hz=1.2e9,
    available_frequencies_hz=(3e8, 1.2e9, 1.3e9),
    ceiling_frequency_hz=1.3e9,
    throttle_reason='the board slows itself down: too hot',
    temperature_c=54.0,
    power_source='ina3221',
)
LINK = LinkReading('10.0.0.1:50051', True, 'closed', 3.2e6, 5.1e6, 0.021, 0.0)
HISTORY = tuple(Sample(10.0 + k % 5, 6.0, 0.35, 5e6) for k in range(60))


def view_of(**changes: Any) -> RobotView:
    """A robot at work; ``changes``: fields of its view."""
    known = RobotView(
        namespace='/drone1',
        silence_s=0.4,
        slot_silence_s=0.4,
        ages_s={'slot_state': 0.4, 'gpu_state': 0.2, 'link_state': 0.2},
        state=measured(),
        decision=decided(),
        settings=ControlSettings(),
        gpu=GPU,
        link=LINK,
        inference=InferenceReading(uptime_s=100.0),
        history=HISTORY,
    )
    return dataclasses.replace(known, **changes)


def drawn(*views: RobotView, width: int = 80, height: int | None = None, **more: Any) -> list[str]:
    console = Console(width=width, file=StringIO(), force_terminal=True, color_system=None)
    options = console.options.update(height=height)
    lines = console.render_lines(TopScreen(views, NOW, **more), options, pad=False)
    return [''.join(segment.text for segment in line if not segment.control) for line in lines]


def unfolded(lines: list[str]) -> str:
    return ' '.join(' '.join(lines).split())


def test_a_robot_at_80_columns_line_by_line() -> None:
    assert [line.rstrip() for line in drawn(view_of(), height=17)][2:] == [
        '/drone1  live  visionscaling_meta, slot 7 of 1.0 s',
        'mAP       0.352 by table, target 0.350',
        'frames/s  8.0 robot + 6.9 edge of 15.0 arrived; 0.1 dropped (superseded)',
        'power     6.21 W, 0.417 J a frame (ina3221)',
        'GPU       1.20 GHz, level 1.20 of 1.30, 62 % busy, 54 °C, held back: the board',
        '          slows itself down: too hot',
        'uplink    3.20 sent of 5.10 Mbit/s, RTT 21 ms, loss 0 %',
        'edge      10.0.0.1:50051 answers, circuit closed',
        'latency   p95 31 ms on the robot, 88 ms through the edge',
        'runs      8.0/s vsdet_m@448 robot, 6.9/s vsdet_s@320 edge',
        'why       All frames processed, mAP at target and uplink full; next best +0.012',
        'frames/s  ' + '▁▃▅▆█▁▃▅▆█▁▃▅▇' * 4 + '  10.0 to 14.0',
        'power     ' + '█' * 60 + '  6.00 W',
        'mAP       ' + '█' * 60 + '  0.350',
        'capacity  ' + '█' * 57 + '  5.00 Mbit/s',
    ]


def test_a_higher_terminal_has_room_for_whole_sentences() -> None:
    high = unfolded(drawn(view_of(), height=40))
    assert 'would have cost 0.012 more (0.30 W more, 0.5 frames/s fewer, mAP 0.020 lower).' in high
    assert 'next best +0.012' not in high


def test_a_low_terminal_leaves_the_last_minute_out_first() -> None:
    low = unfolded(drawn(view_of(), height=15))
    assert 'next best +0.012' in low
    assert '█' not in low
    assert len(drawn(view_of(), height=5)) == 5


def test_a_wide_terminal_has_the_last_minute_beside_the_figures() -> None:
    lines = drawn(view_of(), width=140, height=40)
    assert any('by table' in line and '▁' in line for line in lines)


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'silence_s': 65.0}, 'silent since 12:01:59 (65 s)'),
        ({'silence_s': 65.0, 'present': False}, 'gone since 12:01:59 (65 s)'),
        ({'silence_s': 86400.0}, 'silent since 2026-05-03 12:03:04 (24 h)'),
        ({'slot_silence_s': 5.0}, 'no slot_state since 12:02:59 (5 s)'),
        ({'state': None}, 'no slot has ended yet'),
        (
            {'inference': InferenceReading(fallback=True)},
            'FALLBACK: no fresh decision, the safe configuration runs',
        ),
        ({'restarted_s': 12.0}, 'restarted 12 s ago'),
        (
            {'statuses': (Status('inference_node', 2, 'no model'),)},
            'ERROR inference_node: no model',
        ),
        ({'not_understood': 3}, 'WARN 3 messages of another version, passed over'),
        ({'link': None, 'state': measured(edge_reachable=False)}, 'no edge bridge was heard'),
        (
            {'link': dataclasses.replace(LINK, reachable=False, circuit='open')},
            '10.0.0.1:50051 away, circuit open',
        ),
        ({'gpu': dataclasses.replace(GPU, set_frequency_hz=0.0)}, 'GHz, left to the device, 62 %'),
        ({'ages_s': {'gpu_state': 30.0}}, 'told 30 s ago'),
        (
            {'state': measured(map_measured=True), 'settings': None},
            '0.352 measured, target ?',
        ),
        ({'state': measured(processed_local_fps=0.0, processed_edge_fps=0.0)}, ', ? J a frame'),
        ({'state': measured(latency_edge_p95_s=float('nan'))}, 'p95 31 ms on the robot, - through'),
    ],
)
def test_what_is_not_as_it_should_be_is_said(changes: dict[str, Any], words: str) -> None:
    for lines in (drawn(view_of(**changes)), [robot_line(view_of(**changes), NOW)]):
        assert words.replace(' ', '') in unfolded(lines).replace(' ', '')


def test_several_robots_are_a_list_with_one_in_detail() -> None:
    names = [f'/drone{number}' for number in range(1, 30)]
    lines = drawn(*(view_of(namespace=name) for name in names), selected=20, height=24, keys=True)
    assert len(lines) <= 24
    text = unfolded(lines)
    assert '29 robots' in text
    assert '> /drone21 0.352/0.350 14.9/15.0 6.21 1.20 ' in text
    assert 'and 21 more' in text
    assert '/drone21 live visionscaling_meta, slot 7' in text
    assert lines[-1].startswith('j/k or arrows: another robot   q: quit')


def test_all_robots_are_told_in_detail_where_none_is_selected() -> None:
    text = unfolded(drawn(view_of(), view_of(namespace='/drone2'), selected=None))
    assert text.count('by table, target 0.350') == 2


def test_without_a_robot_it_says_what_it_looked_for() -> None:
    lines = drawn(domain='42', looked_for='any robot in ROS_DOMAIN_ID=42')
    assert 'Nothing yet of any robot in ROS_DOMAIN_ID=42' in unfolded(lines)


LISTED = MIXES.filter(lambda mix: len(mix) < 4)
VIEWS = st.builds(
    RobotView,
    namespace=st.one_of(st.sampled_from(['', '/drone1', '/' + 'x' * 90]), NAMES),
    present=st.booleans(),
    silence_s=st.floats(0.0),
    slot_silence_s=st.floats(0.0),
    ages_s=st.fixed_dictionaries({'gpu_state': st.floats(0.0), 'link_state': st.floats(0.0)}),
    restarted_s=st.floats(0.0),
    not_understood=st.integers(0, 10**9),
    state=st.none() | STATES,
    decision=st.none() | DECISIONS,
    settings=st.none() | st.just(ControlSettings()),
    gpu=st.none()
    | st.builds(
        GpuReading,
        frequency_hz=NUMBERS,
        set_frequency_hz=NUMBERS,
        available_frequencies_hz=st.lists(NUMBERS, max_size=3).map(tuple),
        ceiling_frequency_hz=NUMBERS,
        throttle_reason=NAMES,
        temperature_c=NUMBERS,
        power_source=NAMES,
    ),
    link=st.none()
    | st.builds(
        LinkReading,
        server=NAMES,
        circuit=NAMES,
        reachable=st.booleans(),
        goodput_bps=NUMBERS,
        capacity_bps=NUMBERS,
        rtt_s=NUMBERS,
        loss=NUMBERS,
    ),
    inference=st.none() | st.builds(InferenceReading, allocations=LISTED, fallback=st.booleans()),
    statuses=st.lists(
        st.builds(Status, NAMES, st.integers(0, 255), NAMES), max_size=3
    ).map(tuple),
    history=st.lists(st.builds(Sample, NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=90).map(tuple),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(VIEWS, max_size=3), st.sampled_from([80, 100, 140]))
def test_no_line_is_longer_than_the_terminal(views: list[RobotView], width: int) -> None:
    for height in (None, 24):
        lines = drawn(*views, width=width, height=height, keys=True)
        assert all(cell_len(line) <= width for line in lines)
        assert height is None or len(lines) <= height
        text = unfolded(lines).lower()
        assert not re.search(r'\bnan\b|\binf\b', text)


@settings(deadline=None, max_examples=40)
@given(VIEWS)
def test_lines_and_json_are_found_for_anything(view: RobotView) -> None:
    line = robot_line(view, NOW)
    assert line.isprintable()
    told = json.loads(json_text(robot_document(view)))
    assert told['namespace']
    assert told['condition'] == view.condition.value


def test_json_names_limits_and_places() -> None:
    told = json.loads(json_text(robot_document(view_of())))
    assert told['slot_decision']['explanation']['binding_constraints'] == [
        limit.name for limit in (Binding.ACCURACY, Binding.ARRIVALS, Binding.UPLINK)
    ]
    assert told['slot_decision']['allocations'][0]['origin'] == 'edge'
    assert told['why']['runner_up_gap'] == pytest.approx(0.012)
    assert told['slot_state']['power_w'] == 6.21
