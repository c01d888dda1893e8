"""The demo's figures and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from visionscaling_ros.cli.main import main
from visionscaling_ros.datatypes import Allocation, Detections, Origin, SlotState
from visionscaling_ros.demo.plot import plot_run
from visionscaling_ros.demo.report import print_comparison, write_report
from visionscaling_ros.demo.run_record import Counters, FrameRecord, RunRecord, SlotRow
from visionscaling_ros.demo.slot_table import SlotTable, describe_allocations
from visionscaling_ros.demo.summary import summarize

BOX = Detections(np.array([[10, 10, 50, 40]], np.float32), np.ones(1, np.float32), np.zeros(1, int))


def record(*, with_truth: bool) -> RunRecord:
    state = SlotState(
        slot=1, duration_s=1.0, gpu_frequency_hz=612e6, power_w=8.0, achieved_map=0.5,
        uplink_capacity_bps=2e6, edge_reachable=True, cost=-1.0,
    )  # fmt: skip
    row = SlotRow(state, (Allocation('vsdet_n', 160, Origin.EDGE, 2.0),))
    return RunRecord(
        'visionscaling',
        begin=Counters(processed_local=5, processed_edge=1, dropped=2, in_flight=1, energy_j=10.0),
        end=Counters(
            processed_local=15, processed_edge=11, dropped=4, drop_counts={'superseded': 2},
            in_flight=2, energy_j=50.0, uptime_s=4.0,
        ),
        slots=[row, row],
        frames=[
            FrameRecord(1, Origin.LOCAL, 0.1, BOX, 0.3),
            FrameRecord(2, Origin.EDGE, 0.3, BOX, 0.5),
        ],
        truths={1: BOX, 2: BOX} if with_truth else {},
    )  # fmt: skip


def test_the_figures_of_a_run_add_up() -> None:
    summary = summarize(record(with_truth=True))
    frames = summary['frames']
    assert frames == {'arrived': 24, 'local': 10, 'edge': 10, 'dropped': 2, 'in_flight': 2}
    assert frames['arrived'] == sum(v for k, v in frames.items() if k != 'arrived')
    assert summary['energy_j'] == pytest.approx(40.0)
    assert summary['energy_j_per_frame'] == pytest.approx(2.0)
    assert summary['processed_fps'] == pytest.approx(5.0)
    assert summary['map'] == pytest.approx(1.0)
    assert 'measured' in summary['map_source']
    assert summary['latency_p95_s'] == pytest.approx(0.29)
    assert summary['slots'] == 2


def test_without_ground_truth_the_table_is_used_and_named() -> None:
    summary = summarize(record(with_truth=False))
    assert summary['map'] == pytest.approx(0.4)
    assert 'table' in summary['map_source']


def test_an_empty_run_is_null_and_not_nan() -> None:
    text = json.dumps(summarize(RunRecord('fixed')), allow_nan=False)
    assert json.loads(text)['energy_j_per_frame'] is None


def test_report_plot_and_table_take_any_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, baseline = record(with_truth=True), RunRecord('fixed')
    summaries = [{**summarize(r), 'power_source': 'model'} for r in (run, baseline)]
    write_report(tmp_path / 'report.json', summaries[0], {'baseline': summaries[1]})
    report = json.loads((tmp_path / 'report.json').read_text(encoding='utf-8'))
    for part in (report, report['baseline']):
        assert set(part) >= {
            'frames', 'energy_j', 'energy_j_per_frame', 'processed_fps', 'map', 'latency_p95_s',
            'slots',
        }  # fmt: skip
    plot_run(tmp_path / 'report.png', run, baseline)
    assert (tmp_path / 'report.png').stat().st_size > 10_000
    print_comparison(*summaries)
    with SlotTable('title') as table:
        table.add(run.slots[0], 1.0, 2.0)
    printed = capsys.readouterr().out
    assert 'n@160 E 2.0' in printed
    assert 'energy per processed frame' in printed


def test_allocations_are_described_largest_first() -> None:
    text = describe_allocations(
        [
            Allocation('vsdet_n', 160, Origin.LOCAL, 1.0),
            Allocation('vsdet_m', 320, Origin.EDGE, 9.0),
        ]
    )
    assert text == 'm@320 E 9.0, n@160 L 1.0'


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (['--duration', '1'], 'duration = 1.0'),
        (['--video', 'nowhere.mp4'], "video = 'nowhere.mp4'"),
        (['--trace', 'nowhere.up'], 'nowhere.up'),
        (['--policy', 'magic'], "policy = 'magic'"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_starts(
    arguments: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['demo', '--out', str(tmp_path / 'out'), *arguments]) == 2
    assert named in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
