"""``visionscaling up``: the graph as separate processes, without the ``launch`` package."""

from __future__ import annotations

import argparse
import threading

from visionscaling_ros.graph.descriptions import ProcessDescription
from visionscaling_ros.graph.graphs import demo_graph, edge_graph, robot_graph
from visionscaling_ros.graph.options import (
    DemoOptions,
    EdgeOptions,
    Option,
    ReplayOptions,
    RobotOptions,
    declared_options,
    parse_options,
)
from visionscaling_ros.graph.process_runner import ProcessRunner
from visionscaling_ros.graph.stop_signals import stop_signals_handled

HELP = 'start the nodes on the robot (or the edge server, or both with a shaped link, or on a bag)'
GRAPHS = ('robot', 'edge', 'demo', 'replay')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments: the options of all graphs."""
    parser.add_argument(
        'graph', nargs='?', choices=GRAPHS, default=GRAPHS[0], help='what to start (robot)'
    )
    which = parser.add_mutually_exclusive_group()
    for graph, text in (('edge', 'the edge server only'), ('demo', 'robot and edge server here')):
        which.add_argument(
            f'--{graph}', action='store_const', const=graph, dest='flagged', help=text
        )
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
    with stop_signals_handled(lambda _number, _frame: stop.set()), runner:
        return runner.wait(stop)


def described_graph(arguments: argparse.Namespace) -> tuple[ProcessDescription, ...]:
    """The graph the arguments ask for; raises InvalidValueError."""
    given = {
        option.name: value
        for option in _all_options()
        if (value := getattr(arguments, option.name)) is not None
    }
    graph = arguments.flagged or arguments.graph
    if graph == 'edge':
        return edge_graph(parse_options(EdgeOptions, given))
    if graph == 'demo':
        return demo_graph(parse_options(DemoOptions, given))
    if graph == 'replay':
        from visionscaling_ros.graph.replay_graph import replay_graph  # noqa: PLC0415  (slow)

        return replay_graph(parse_options(ReplayOptions, given))
    return robot_graph(parse_options(RobotOptions, given))


def _all_options() -> list[Option]:
    options = {
        option.name: option
        for options_type in (RobotOptions, DemoOptions, EdgeOptions, ReplayOptions)
        for option in declared_options(options_type)
    }
    return list(options.values())
