"""``visionscaling sim``."""

from __future__ import annotations

import csv
import io
import math
import os
import signal
from pathlib import Path

import pytest

from visionscaling_ros.cli.main import main
from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.policies.fixed import FixedPolicy
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Allocation, Origin, SlotDecision, SlotState
from visionscaling_ros.simulation.slot_log import HEADER, SlotLog


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def test_slots_are_written_and_add_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'new' / 'slots.csv'
    arguments = ['sim', '--policy', 'visionscaling', '--scenario', 'outages', '--slots', '50']
    assert main([*arguments, '--csv', str(path)]) == 0
    rows = read(path)
    assert [int(row['slot']) for row in rows] == list(range(50))
    assert tuple(rows[0]) == HEADER
    for row in rows:
        parts = ('processed_local_fps', 'processed_edge_fps', 'dropped_fps')
        total = sum(float(row[part]) for part in parts)
        assert total == pytest.approx(float(row['arrival_fps']), rel=1e-6)
    out = capsys.readouterr().out
    assert 'dynamic regret' in out
    assert 'slots/s' in out
    again = tmp_path / 'again.csv'
    assert main([*arguments, '--csv', str(again)]) == 0
    assert again.read_bytes() == path.read_bytes()


def test_a_trace_is_the_uplink(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace, path = tmp_path / 'dead.csv', tmp_path / 'slots.csv'
    trace.write_text('time_s,rate_bps\n0,0\n5,0\n')
    arguments = ['sim', '--policy', 'fixed', '--trace', str(trace), '--slots', '5']
    assert main([*arguments, '--csv', str(path)]) == 0
    assert {row['edge_reachable'] for row in read(path)} == {'0'}
    assert 'dead.csv' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['--policy', 'magic'], 'magic'),
        (['--scenario', 'sunny'], 'sunny'),
        (['--trace', 'nowhere.csv'], 'nowhere.csv'),
        (['--slots', '0'], 'slots'),
        (['--seed', '-1'], 'seed'),
        (['--csv', '/'], 'csv'),
    ],
)
def test_bad_arguments_are_told_in_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['sim', '--policy', 'fixed', '--slots', '5', *arguments]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count('\n') == 1


def test_ctrl_c_leaves_the_slots_until_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decide = FixedPolicy.decide

    def interrupted_in_slot_7(self: FixedPolicy, forecast: Forecast) -> SlotDecision:
        if forecast.slot == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return decide(self, forecast)

    monkeypatch.setattr(FixedPolicy, 'decide', interrupted_in_slot_7)
    path = tmp_path / 'slots.csv'
    assert main(['sim', '--policy', 'fixed', '--slots', '50', '--csv', str(path)]) == 130
    assert [int(row['slot']) for row in read(path)] == list(range(7))
    assert '7 slots are in' in capsys.readouterr().err


def test_the_log_is_transparent() -> None:
    file = io.StringIO()
    log = SlotLog(FixedPolicy(ControlSettings()), file)
    log.settings = ControlSettings(weight_rate=3.0)
    assert log.settings.weight_rate == 3.0
    log.observe(SlotState(slot=0, duration_s=1.0))
    assert log.slots == 0
    log.decide(_forecast())
    processed = (Allocation('n', 320, Origin.EDGE, 2.0), Allocation('s', 640, Origin.LOCAL, 0.5))
    log.observe(SlotState(slot=4, duration_s=1.0, processed=processed))
    (row,) = csv.DictReader(io.StringIO(file.getvalue()))
    assert row['processed'] == 'n@320 edge 2.0000;s@640 local 0.5000'
    assert math.isnan(float(row['power_w']))


def _forecast() -> Forecast:
    return Forecast(
        slot=4, slot_s=1.0, arrival_fps=0.0, capacity_bps=0.0, server_share=1.0,
        edge_reachable=False, operating_points=(), device=DeviceModel(),
    )  # fmt: skip
