"""``visionscaling top`` of real controllers: once, as lines, and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from typing import Any

from top_robot import Robot
from visionscaling_ros.msg import SlotDecision

from visionscaling_ros.nodes import topics

CLI = 'from visionscaling_ros.cli.main import main; raise SystemExit(main())'
TIMEOUT_S = 60.0
ENTER_SCREEN, LEAVE_SCREEN = b'\x1b[?1049h', b'\x1b[?1049l'


def top(graph: Any, *options: str) -> Any:
    return graph.run(sys.executable, '-c', CLI, 'top', *options)


def test_once_prints_two_robots_and_ends_well(graph: Any) -> None:
    Robot(graph, '/drone1', accuracy_target_map=0.31)
    Robot(graph, '/drone2', policy='fixed', fixed_model='vsdet_n', fixed_input_size_px=320)
    for name in ('/drone1', '/drone2'):
        graph.observer.wait_for(
            f'{name}/slot_decision', SlotDecision, qos=topics.DECISION_QOS, timeout_s=TIMEOUT_S
        )
    shown = top(graph, '--once')
    told = top(graph, '--once', '--json', '--namespace', 'drone2')
    missing = top(graph, '--once', '--timeout', '1', '--namespace', '/nobody')
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
    assert missing.wait(TIMEOUT_S) == 1
    assert 'nothing came of /nobody (slot_state, ' in missing.output
    assert f'ROS_DOMAIN_ID={graph.domain}' in missing.output


def test_a_robot_that_goes_silent_is_said_to_be(graph: Any) -> None:
    robot = Robot(graph, '/drone1')
    shown = top(graph, '--interval', '0.2')
    shown.wait_for_output('| live |', TIMEOUT_S)
    for process in graph.processes[:2]:
        process.send(signal.SIGSTOP)
    robot.fall_silent()
    shown.wait_for_output('| silent since ', TIMEOUT_S)
    for process in graph.processes[:2]:
        process.send(signal.SIGCONT)
    assert shown.stop(signal.SIGINT) == 0
    assert 'Traceback' not in shown.output


def test_on_a_terminal_it_has_a_screen_of_its_own_until_q(graph: Any) -> None:
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, '-c', CLI, 'top'],
        env={**graph.environment, 'TERM': 'xterm', 'COLUMNS': '80', 'LINES': '24'},
        cwd=graph.folder,
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
        start_new_session=True,
    )
    os.close(other_end)
    shown = b''
    while b'q: quit' not in shown:
        shown += os.read(terminal, 65536)
    os.write(terminal, b'q')
    while LEAVE_SCREEN not in shown:
        shown += os.read(terminal, 65536)
    assert process.wait(TIMEOUT_S) == 0
    os.close(terminal)
    assert ENTER_SCREEN in shown
    assert b'Nothing yet of any robot' in shown
