"""``visionscaling top`` of real controllers: once, as lines, and on a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from typing import Any

import pytest
from graph_harness import private_graph
from top_robot import Robot
from visionscaling_ros.msg import SlotDecision

from visionscaling_ros.nodes import topics

CLI = 'from visionscaling_ros.cli.main import main; raise SystemExit(main())'
TIMEOUT_S = 60.0
ENTER_SCREEN, LEAVE_SCREEN = b'\x1b[?1049h', b'\x1b[?1049l'


def top(graph: Any, *options: str) -> Any:
    return graph.run(sys.executable, '-c', CLI, 'top', *options)


@pytest.fixture(scope='module')
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One for all tests here, with two robots that decide, and who looks for a third."""
    with private_graph(tmp_path_factory.mktemp('top')) as made:
        made.missing = top(made, '--once', '--timeout', '1', '--namespace', '/nobody')
        fixed = {'policy': 'fixed', 'fixed_model': 'vsdet_n', 'fixed_input_size_px': 320}
        made.robots = [
            Robot(made, '/drone1', accuracy_target_map=0.31),
            Robot(made, '/drone2', with_clock=False, **fixed),
        ]
        for robot in made.robots:
            topic = f'{robot.namespace}/slot_decision'
            made.observer.wait_for(
                topic, SlotDecision, qos=topics.DECISION_QOS, timeout_s=TIMEOUT_S
            )
        yield made


def set_size(terminal: int, *, lines: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('4H', lines, columns, 0, 0))


def test_once_prints_two_robots_and_ends_well(graph: Any) -> None:
    shown = top(graph, '--once')
    told = top(graph, '--once', '--json', '--namespace', 'drone2')
    assert shown.wait(TIMEOUT_S) == 0
    lines = shown.output.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert f'2 robots, domain {graph.domain}' in lines[0]
    for words in ('/drone1', '/drone2', 'visionscaling_meta, slot ', 'target 0.310', 'vsdet_n@320'):
        assert words in shown.output
    assert told.wait(TIMEOUT_S) == 0
    (robot,) = json.loads(told.output.splitlines()[-1])['robots']
    assert robot['namespace'] == '/drone2'
    assert robot['slot_decision']['policy'] == 'fixed'
    assert robot['why']['sentences'].startswith('The policy fixed runs what it was set to')


def test_a_robot_that_is_not_there_is_named(graph: Any) -> None:
    missing = graph.missing
    assert missing.wait(TIMEOUT_S) == 1
    assert 'nothing came of /nobody (slot_state, ' in missing.output
    assert f'ROS_DOMAIN_ID={graph.domain}' in missing.output


def test_on_a_terminal_it_has_a_screen_of_its_own_until_q_and_follows_its_size(graph: Any) -> None:
    terminal, other_end = pty.openpty()
    set_size(terminal, lines=24, columns=80)
    environment = {k: v for k, v in graph.environment.items() if k not in ('COLUMNS', 'LINES')}
    process = subprocess.Popen(
        [sys.executable, '-c', CLI, 'top', '--interval', '0.2'],
        env={**environment, 'TERM': 'xterm'},
        cwd=graph.folder,
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        start_new_session=True,
    )
    os.close(other_end)
    shown = b''

    def read_until(*texts: bytes) -> None:
        nonlocal shown
        deadline_s = time.monotonic() + TIMEOUT_S
        while not all(text in shown for text in texts):
            assert time.monotonic() < deadline_s, shown
            shown += os.read(terminal, 65536)

    read_until(b'q: quit', b'/drone1', b'/drone2')
    assert ENTER_SCREEN in shown
    set_size(terminal, lines=40, columns=160)
    shown = b''
    read_until(b'policy', b'visionscaling_meta')  # a column of wide terminals only
    os.write(terminal, b'q')
    read_until(LEAVE_SCREEN)
    assert process.wait(TIMEOUT_S) == 0
    os.close(terminal)


def test_a_robot_that_goes_silent_is_said_to_be(graph: Any) -> None:
    robot = graph.robots[0]
    shown = top(graph, '--interval', '0.2', '--namespace', robot.namespace)
    shown.wait_for_output('| live |', TIMEOUT_S)
    for process in robot.nodes:
        process.send(signal.SIGSTOP)
    robot.fall_silent()
    shown.wait_for_output('| silent since ', TIMEOUT_S)
    for process in robot.nodes:
        process.send(signal.SIGCONT)
    assert shown.stop(signal.SIGINT) == 0
    assert 'Traceback' not in shown.output
