"""A supervised process is heard, can be stopped, comes back on demand and dies with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager

import psutil
import pytest

from visionscaling_ros.graph import supervised_process
from visionscaling_ros.graph.supervised_process import SupervisedProcess

TIMEOUT_S = 20.0
SLEEPER = "import time; print('ready', flush=True); time.sleep(600)"


@contextmanager
def supervised(code, *, respawn=False, on_line=lambda line: None):
    process = SupervisedProcess(
        [sys.executable, '-c', textwrap.dedent(code)], dict(os.environ), on_line, respawn=respawn
    )
    try:
        process.start()
        yield process
    finally:
        process.forbid_respawn()
        process.signal(signal.SIGKILL)
        assert process.wait(TIMEOUT_S)


def test_output_of_both_streams_and_the_exit_status_are_told():
    lines = []
    code = (
        "import sys; print('out'); sys.stdout.flush(); print('err', file=sys.stderr); sys.exit(3)"
    )
    with supervised(code, on_line=lines.append) as process:
        assert process.wait(TIMEOUT_S)
        assert process.returncode == 3
        assert not process.is_running
        assert lines[:2] == ['out', 'err']
        assert lines[2].startswith('ended: exit status 3')


def test_a_line_can_be_waited_for():
    with supervised(SLEEPER) as process:
        assert process.wait_for_line('ready', TIMEOUT_S) == 'ready'
        assert process.is_running


def test_waiting_for_a_line_ends_when_the_process_ends_and_tells_what_was_said():
    with (
        supervised("print('cannot bind')") as process,
        pytest.raises(TimeoutError, match='cannot bind'),
    ):
        process.wait_for_line('ready', TIMEOUT_S)


def test_bytes_that_are_no_text_do_not_end_the_supervision():
    with supervised(r"import os; os.write(1, b'\xff\xfe\n'); print('after')") as process:
        process.wait_for_line('after', TIMEOUT_S)


def test_a_killed_process_is_started_again(monkeypatch):
    monkeypatch.setattr(supervised_process, 'RESPAWN_DELAY_S', 0.01)
    ready = threading.Semaphore(0)

    def on_line(line):
        if line == 'ready':
            ready.release()

    with supervised(SLEEPER, respawn=True, on_line=on_line) as process:
        assert ready.acquire(timeout=TIMEOUT_S)
        first_pid = process.pid
        process.signal(signal.SIGKILL)
        assert ready.acquire(timeout=TIMEOUT_S)
        assert process.pid != first_pid
        assert not psutil.pid_exists(first_pid)


def test_a_process_waiting_to_come_back_can_be_called_off():
    with supervised('raise SystemExit(1)', respawn=True) as process:
        process.wait_for_line('ended', TIMEOUT_S)
        assert process.is_supervised
        process.forbid_respawn()
        assert process.wait(TIMEOUT_S)


def test_a_command_that_does_not_exist_is_an_error():
    process = SupervisedProcess(['/no/such/program'], {}, lambda line: None)
    with pytest.raises(FileNotFoundError):
        process.start()
    assert not process.is_supervised


def test_a_signal_reaches_what_the_process_started():
    code = """
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
        print('child', child.pid, flush=True)
        time.sleep(600)
    """
    with supervised(code) as process:
        child = psutil.Process(int(process.wait_for_line('child', TIMEOUT_S).split()[1]))
        process.signal(signal.SIGKILL)
        psutil.wait_procs([child], TIMEOUT_S)
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_the_process_dies_with_its_parent_even_if_that_is_killed():
    parent_code = f"""
        import os, time
        from visionscaling_ros.graph.supervised_process import SupervisedProcess
        command = {[sys.executable, '-c', SLEEPER]!r}
        process = SupervisedProcess(command, dict(os.environ), lambda line: None)
        process.start()
        process.wait_for_line('ready', {TIMEOUT_S})
        print('child', process.pid, flush=True)
        time.sleep(600)
    """
    parent = subprocess.Popen(
        [sys.executable, '-c', textwrap.dedent(parent_code)], stdout=subprocess.PIPE, text=True
    )
    try:
        child = psutil.Process(int(parent.stdout.readline().split()[1]))
        parent.kill()
        _, alive = psutil.wait_procs([child], TIMEOUT_S)
        assert alive == []
    finally:
        parent.kill()
        parent.wait(TIMEOUT_S)
        parent.stdout.close()


def test_starting_one_wakes_nothing_that_waits_for_forks():
    forks = []
    os.register_at_fork(before=lambda: forks.append(True))
    with supervised(SLEEPER) as process:
        process.wait_for_line('ready', TIMEOUT_S)
    assert not forks
