"""``visionscaling bench`` and ``bench-decision``."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from visionscaling_ros.cli.main import main
from visionscaling_ros.simulation.metrics import Row

COMMAND = 'import sys; from visionscaling_ros.cli.main import main; sys.exit(main())'
PATIENCE_S = 60.0


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    folder = tmp_path / 'traces'
    folder.mkdir()
    (folder / 'a.csv').write_text('time_s,rate_bps\n0,4e6\n7,1e5\n11,2e6\n')
    return folder


def test_it_runs_writes_plots_and_prints(
    traces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    json_path, picture = tmp_path / 'out' / 'bench.json', tmp_path / 'bench.png'
    status = main([
        'bench', '--traces', str(traces), '--scenarios', 'nominal,bursty_arrivals', '--cross',
        '--policies', 'fixed,visionscaling', '--seeds', '2', '--slots', '40',
        '--json', str(json_path), '--plot', str(picture),
    ])  # fmt: skip
    assert status == 0
    document = json.loads(json_path.read_text())
    worlds = {(row['trace'], row['scenario']) for row in document['rows']}
    assert worlds == {
        ('a.csv', 'nominal'), ('synthetic', 'bursty_arrivals'), ('a.csv', 'bursty_arrivals'),
    }  # fmt: skip
    assert len(document['rows']) == 3 * 2 * 4
    assert {row['policy'] for row in document['rows']} == {
        'fixed', 'visionscaling', 'oracle', 'best_static',
    }  # fmt: skip
    for row in document['rows']:
        assert list(row) == [field.name for field in fields(Row)]
    assert document['meta']['complete'] is True
    assert document['meta']['slots'] == 40
    assert document['meta']['command'].startswith('visionscaling')
    assert all(entry['seeds'] == 2 for entry in document['summary'])
    assert picture.is_file()
    out = capsys.readouterr().out
    assert 'a.csv, bursty_arrivals' in out
    assert str(json_path) in out


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        (['--policies', 'magic'], 'magic'),
        (['--scenarios', 'sunny'], 'sunny'),
        (['--scenarios', 'nominal'], 'nominal'),
        (['--device', 'toaster'], 'toaster'),
        (['--target', '1.5'], 'accuracy_target_map'),
        (['--seeds', '0'], 'seeds'),
        (['--slots', '1'], 'slots'),
        (['--jobs', '0'], 'jobs'),
        (['--traces', 'nowhere'], 'nowhere'),
        (['--json', '/'], 'json'),
    ],
)
def test_bad_arguments_are_told_in_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['bench', *arguments]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert 'allowed' in err
    assert err.count('\n') == 1


def test_ctrl_c_leaves_what_is_done(tmp_path: Path) -> None:
    json_path = tmp_path / 'bench.json'
    program = subprocess.Popen(
        [
            sys.executable, '-c', COMMAND, 'bench', '--scenarios', 'steady', '--slots', '1000000',
            '--jobs', '1', '--json', str(json_path),
        ],
        stderr=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        _wait_for_child(program.pid)
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=PATIENCE_S)
    finally:
        program.kill()
    assert program.returncode == 130
    assert b'interrupted: 0 runs' in err
    assert b'Traceback' not in err
    document: dict[str, Any] = json.loads(json_path.read_text())
    assert document['meta']['complete'] is False
    assert document['rows'] == []


def test_decisions_are_timed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / 'decision.json'
    arguments = ['bench-decision', '--policies', 'fixed', '--slots', '20', '--json', str(path)]
    assert main(arguments) == 0
    results = json.loads(path.read_text())
    (entry,) = results['decisions']
    assert entry['policy'] == 'fixed'
    assert 0.0 < entry['decide_s_median'] <= entry['decide_s_p95'] <= entry['decide_s_p99']
    assert entry['decide_s_median'] < entry['decide_observe_s_median']
    ratio = entry['decide_s_median'] / entry['reference_s']
    assert entry['decide_median_over_reference'] == pytest.approx(ratio)
    assert results['simulation'][0]['slots_per_s'] > 0.0
    assert '10 models' in capsys.readouterr().out
    assert main(['bench-decision', '--policies', 'oracle']) == 2
    assert main(['bench-decision', '--slots', '0']) == 2


def _wait_for_child(pid: int) -> None:
    """Until the process has started one that runs a job."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        children = Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
        for child in children:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
                if b'spawn_main' in Path(f'/proc/{child}/cmdline').read_bytes():
                    return
        time.sleep(0.05)
    pytest.fail('no process was started')
