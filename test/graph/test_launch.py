"""The same graph, started by ``visionscaling up`` and by ``ros2 launch``."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import time
from typing import Any

import psutil
import pytest

from visionscaling_ros.graph.options import (
    DemoOptions,
    EdgeOptions,
    ReplayOptions,
    RobotOptions,
    declared_options,
)
from visionscaling_ros.installed import program_command, share_directory

needs_launch = pytest.mark.skipif(
    importlib.util.find_spec('launch_ros') is None or shutil.which('ros2') is None,
    reason='the launch package is not installed',
)
NODES = {'camera_node', 'inference_node', 'edge_bridge_node', 'gpu_clock_node', 'controller_node'}
TIMEOUT_S = 60.0

# Idle nodes in a namespace: enough to see what reaches them, and they start fast.
UP = ('--namespace', 'r1', '--no-autostart', '--policy', 'fixed', '--server', '127.0.0.1:9')
LAUNCH = ('namespace:=r1', 'autostart:=false', 'policy:=fixed', 'server:=127.0.0.1:9')


def start_up(graph: Any, *, compose: bool) -> Any:
    return graph.run(
        *program_command('visionscaling'), 'up', *UP, '--compose' if compose else '--no-compose'
    )


def start_launch(graph: Any, *, compose: bool) -> Any:
    return graph.run(
        *('ros2', 'launch', 'visionscaling_ros', 'bringup.launch.py', *LAUNCH),
        f'compose:={str(compose).lower()}',
    )


def wait_for_nodes(graph: Any, names: set[str]) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        present = graph.observer.node.get_node_names_and_namespaces()
        if {name for name, namespace in present if namespace == '/r1'} == names:
            return
        time.sleep(0.1)
    raise AssertionError(f'not {names} but {present}')


@pytest.mark.parametrize('compose', [True, False])
@pytest.mark.parametrize('start', [start_up, pytest.param(start_launch, marks=needs_launch)])
def test_both_ways_start_the_same_nodes_with_the_same_parameters(
    graph: Any, start: Any, compose: bool
) -> None:
    starter = start(graph, compose=compose)
    wait_for_nodes(graph, NODES)
    children = psutil.Process(starter.pid).children(recursive=True)
    assert len(children) == (4 if compose else 5)
    get_parameter = graph.observer.get_parameter
    assert all(get_parameter(f'/r1/{name}', 'autostart') is False for name in NODES)
    assert get_parameter('/r1/controller_node', 'policy') == 'fixed'
    assert get_parameter('/r1/edge_bridge_node', 'server') == '127.0.0.1:9'
    starter.send(signal.SIGINT)
    starter.wait(TIMEOUT_S)
    _, alive = psutil.wait_procs(children, TIMEOUT_S)
    assert alive == []


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_up_leaves_no_process_however_it_ends(graph: Any, number: signal.Signals) -> None:
    starter = start_up(graph, compose=True)
    wait_for_nodes(graph, NODES)
    children = psutil.Process(starter.pid).children(recursive=True)
    os.kill(starter.pid, number)
    _, alive = psutil.wait_procs(children, TIMEOUT_S)
    assert alive == []
    assert starter.wait(TIMEOUT_S) == (-number if number == signal.SIGKILL else 0)


def test_up_starts_a_killed_node_again(graph: Any) -> None:
    starter = graph.run(*program_command('visionscaling'), 'up', *UP, '--use-respawn')
    wait_for_nodes(graph, NODES)
    controller = next(
        child
        for child in psutil.Process(starter.pid).children()
        if 'controller_node' in ' '.join(child.cmdline())
    )
    controller.kill()
    starter.wait_for_output('[controller_node] ended: by SIGKILL')
    psutil.wait_procs([controller], TIMEOUT_S)
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        if any(
            'controller_node' in ' '.join(child.cmdline())
            for child in psutil.Process(starter.pid).children()
        ):
            return
        time.sleep(0.1)
    raise AssertionError(f'controller_node did not come back:\n{starter.output}')


@needs_launch
@pytest.mark.parametrize(
    ('file_name', 'options_type'),
    [
        ('bringup.launch.py', RobotOptions),
        ('edge.launch.py', EdgeOptions),
        ('demo.launch.py', DemoOptions),
        ('replay.launch.py', ReplayOptions),
    ],
)
def test_launch_arguments_are_the_options(file_name: str, options_type: Any) -> None:
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    path = share_directory() / 'launch' / file_name
    arguments = get_launch_description_from_python_launch_file(str(path)).get_launch_arguments()
    declared = {
        argument.name: (argument.default_value[0].text, argument.description)
        for argument in arguments
    }
    assert declared == {
        option.name: (
            str(option.default).lower()
            if isinstance(option.default, bool)
            else str(option.default),
            option.description,
        )
        for option in declared_options(options_type)
    }


def test_a_bad_option_ends_up_with_one_line(graph: Any) -> None:
    starter = graph.run(*program_command('visionscaling'), 'up', '--log-level', 'loud')
    assert starter.wait(TIMEOUT_S) == 2
    starter.wait_for_output("log_level = 'loud' is not allowed; allowed: debug, info")
    assert 'Traceback' not in starter.output
