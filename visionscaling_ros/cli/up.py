"""``visionscaling up``: the graph as separate processes, without the ``launch`` package."""

from __future__ import annotations

import argparse
import signal
import threading

from visionscaling_ros.graph.descriptions import ProcessDescription
from visionscaling_ros.graph.graphs import demo_graph, edge_graph, robot_graph
from visionscaling_ros.graph.options import (
    DemoOptions,
    EdgeOptions,
    Option,
    RobotOptions,
    declared_options,
    parse_options,
)
from visionscaling_ros.graph.process_runner import ProcessRunner

HELP = 'start the nodes on the robot (or the edge server, or both with a shaped link)'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: the options of all graphs."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--edge', action='store_true', help='start the edge server only')
    which.add_argument('--demo', action='store_true', help='robot and edge server on this machine')
    for option in _all_options():
        flag = f'--{option.name.replace("_", "-")}'
        text = option.description.replace('%', '%%')
        if isinstance(option.default, bool):
            default = 'yes' if option.default else 'no'
            parser.add_argument(
                flag, action=argparse.BooleanOptionalAction, help=f'{text} ({default})'
            )
        else:
            default = str(option.default)
            parser.add_argument(flag, help=f'{text} ({default})' if default else text)


def run(arguments: argparse.Namespace) -> int:
    """Run the graph until it ended or a signal came."""
    runner = ProcessRunner(described_graph(arguments))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: stop.set())
    with runner:
        return runner.wait(stop)


def described_graph(arguments: argparse.Namespace) -> tuple[ProcessDescription, ...]:
    """The graph the arguments ask for; raises InvalidValueError."""
    given = {
        option.name: value
        for option in _all_options()
        if (value := getattr(arguments, option.name)) is not None
    }
    if arguments.edge:
        return edge_graph(parse_options(EdgeOptions, given))
    if arguments.demo:
        return demo_graph(parse_options(DemoOptions, given))
    return robot_graph(parse_options(RobotOptions, given))


def _all_options() -> list[Option]:
    options = {
        option.name: option
        for options_type in (RobotOptions, DemoOptions, EdgeOptions)
        for option in declared_options(options_type)
    }
    return list(options.values())
