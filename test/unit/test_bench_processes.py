"""Jobs in processes of their own."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from visionscaling_ros.simulation.job_processes import Emitted, Ended, run_in_processes

# A module of its own: processes import what they run, and cannot import a test.
WORK = """
import os, threading

def work(job, emit):
    emit(job)
    if job == 'raise':
        raise ValueError('two\\nlines')
    if job == 'die':
        os._exit(7)
    if job == 'environment':
        emit(os.environ['OMP_NUM_THREADS'])
    if job == 'forever':
        threading.Event().wait()
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / 'work_of_the_test.py').write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'work_of_the_test', raising=False)
    return importlib.import_module('work_of_the_test').work


def values(events: list[Emitted | Ended], index: int) -> list[object]:
    return [e.value for e in events if isinstance(e, Emitted) and e.index == index]


@pytest.mark.parametrize('processes', [1, 3])
def test_every_job_is_run_and_a_bad_one_harms_no_other(work: Any, processes: int) -> None:
    jobs = ['raise', 'die', 'fine', 'environment']
    events = list(run_in_processes(work, jobs, processes))
    errors = {e.index: e.error for e in events if isinstance(e, Ended)}
    assert set(errors) == {0, 1, 2, 3}
    assert errors[0].startswith('ValueError: two lines (work_of_the_test.py:')
    assert errors[1] == 'its process ended with status 7'
    assert errors[2] == errors[3] == ''
    assert values(events, 2) == ['fine']
    assert values(events, 3) == ['environment', '1']


def test_the_surroundings_are_as_before(work: Any) -> None:
    before = dict(os.environ)
    list(run_in_processes(work, ['fine'], 1))
    assert dict(os.environ) == before
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_who_stops_listening_ends_the_processes(work: Any) -> None:
    with closing(run_in_processes(work, ['forever', 'forever'], 2)) as events:
        next(events)
    # reaching this line is the assertion: a process that went on would have been waited for


def test_an_interrupt_ends_the_processes(work: Any) -> None:
    events = run_in_processes(work, ['forever'], 1)
    next(events)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        next(events)
    assert list(events) == []


def test_nothing_heavy_is_imported_by_a_process() -> None:
    heavy = {'torch', 'cv2', 'matplotlib', 'rich', 'grpc', 'rclpy'}
    code = (
        'import sys, visionscaling_ros.simulation.suite\n'
        f'print(*({heavy!r} & set(sys.modules)))'
    )
    assert subprocess.check_output([sys.executable, '-c', code]).strip() == b''
