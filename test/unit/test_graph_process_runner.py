"""The runner starts, kills, restarts and ends the processes of a graph by name."""

from __future__ import annotations

import signal
import threading

import psutil
import pytest

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.graph.dds_profile import PROFILE_VARIABLES
from visionscaling_ros.graph.descriptions import ProgramDescription
from visionscaling_ros.graph.process_runner import ProcessRunner

TIMEOUT_S = 30.0


def shaped_link(name):
    """A real process of the graph that starts fast and needs no ROS."""
    arguments = ('link', '--listen', '127.0.0.1:0', '--to', '127.0.0.1:9')
    return ProgramDescription(name=name, arguments=(*arguments, '--trace', '1e6'))


def wait_ready(runner, name):
    runner.process(name).wait_for_line('ready on', TIMEOUT_S)


def test_processes_run_until_the_runner_stops_and_none_is_left():
    said = []
    with ProcessRunner(
        [shaped_link('left'), shaped_link('right')], lambda name, line: said.append((name, line))
    ) as runner:
        for name in runner.names:
            wait_ready(runner, name)
        pids = [runner.process(name).pid for name in runner.names]
        assert all(psutil.pid_exists(pid) for pid in pids)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert {name for name, line in said if 'ready on' in line} == {'left', 'right'}
    assert [line for _, line in said if line.startswith('ended: exit status 0')] != []


def test_one_process_can_be_killed_and_restarted_while_the_other_runs_on():
    with ProcessRunner([shaped_link('left'), shaped_link('right')], lambda *_: None) as runner:
        for name in runner.names:
            wait_ready(runner, name)
        left_pid, right_pid = (runner.process(name).pid for name in runner.names)
        runner.kill('left')
        assert runner.process('left').wait(TIMEOUT_S)
        assert runner.process('left').returncode == -signal.SIGKILL
        runner.restart('left')
        wait_ready(runner, 'left')
        assert runner.process('left').pid != left_pid
        assert runner.process('right').pid == right_pid
        assert runner.process('right').is_running


def test_a_process_that_ignores_polite_signals_is_killed(monkeypatch):
    monkeypatch.setattr(
        'visionscaling_ros.graph.process_runner.STOP_STAGES',
        ((signal.SIGINT, 0.1), (signal.SIGTERM, 0.1), (signal.SIGKILL, TIMEOUT_S)),
    )
    with ProcessRunner([shaped_link('link')], lambda *_: None) as runner:
        wait_ready(runner, 'link')
        runner.kill('link', signal.SIGSTOP)
    assert runner.process('link').returncode == -signal.SIGKILL


def test_waiting_ends_with_the_processes_and_tells_of_a_failure():
    good = ProgramDescription(name='good', arguments=('up', '--help'))
    with ProcessRunner([good], lambda *_: None) as runner:
        assert runner.wait() == 0
    bad = ProgramDescription(name='bad', arguments=('link',))
    with ProcessRunner([good, bad], lambda *_: None) as runner:
        assert runner.wait() == 1


def test_waiting_ends_when_asked_to():
    stop = threading.Event()
    with ProcessRunner([shaped_link('link')], lambda *_: None) as runner:
        wait_ready(runner, 'link')
        stop.set()
        assert runner.wait(stop) == 0
        assert runner.process('link').is_running


def test_every_process_gets_the_dds_profile(monkeypatch):
    for name in PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with ProcessRunner([shaped_link('link')], lambda *_: None, {'OWN': '1'}) as runner:
        wait_ready(runner, 'link')  # the kernel shows no environment while the program is replaced
        environment = psutil.Process(runner.process('link').pid).environ()
    assert environment['OWN'] == '1'
    assert all(environment[name].endswith('.xml') for name in PROFILE_VARIABLES)


def test_an_unknown_process_is_refused_by_name():
    runner = ProcessRunner([shaped_link('link')])
    with pytest.raises(InvalidValueError, match='camera'):
        runner.kill('camera')
