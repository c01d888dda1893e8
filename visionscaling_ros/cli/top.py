"""``visionscaling top``: running robots on a terminal."""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.json_file import json_text
from visionscaling_ros.watch.keyboard import Keyboard
from visionscaling_ros.watch.namespace import robot_namespace
from visionscaling_ros.watch.robot_document import robot_document
from visionscaling_ros.watch.robot_view import RobotView
from visionscaling_ros.watch.robot_words import robot_line
from visionscaling_ros.watch.top_screen import TopScreen

if TYPE_CHECKING:
    from visionscaling_ros.nodes.robot_watcher import RobotWatcher

HELP = 'watch running robots: what they do, and why'
EPILOG = (
    'Robots are found by themselves, those that come later too, in the domain of ROS_DOMAIN_ID. '
    'Keys: j, k or the arrows choose a robot, q ends it. Where the output is no terminal, every '
    'robot is a line.'
)
SETTLE_S = 3.0  # with --once: so long further robots and messages are waited for
WHOLE_TOPICS = ('slot_state', 'slot_decision', 'controller_settings', 'gpu_state', 'link_state')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = EPILOG
    parser.add_argument(
        '--namespace', nargs='+', default=[], metavar='NS', help='only these robots (all)'
    )
    parser.add_argument('--once', action='store_true', help='print what is known once, and end')
    parser.add_argument(
        '--json', action='store_true', help='a line of JSON for each look, instead of the view'
    )
    parser.add_argument(
        '--interval', type=float, default=1.0, metavar='S', help='time between looks (%(default)g)'
    )
    parser.add_argument(
        '--timeout', type=float, default=10.0, metavar='S',
        help='with --once: so long a robot is waited for (%(default)g)',
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Watch until told to stop; with ``--once`` 1 where a robot looked for was not seen."""
    for name, low in (('interval', 0.1), ('timeout', 0.0)):
        value = getattr(arguments, name)
        if not low <= value <= 3600.0:
            raise InvalidValueError(f'--{name}', value, f'{low:g} to 3600 s')
    namespaces = tuple(dict.fromkeys(robot_namespace(name) for name in arguments.namespace))
    from visionscaling_ros.nodes.robot_watcher import RobotWatcher  # noqa: PLC0415  (needs ROS)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors='replace')  # not every terminal has every character
    console = Console()
    with RobotWatcher(namespaces) as watcher:
        if arguments.once:
            return _print_once(arguments, watcher, console)
        try:
            if arguments.json or not console.is_terminal or console.is_dumb_terminal:
                _print_lines(arguments, watcher)
            else:
                _show(arguments, watcher, console)
        except KeyboardInterrupt:
            pass  # the way to end it
        except BrokenPipeError:  # as when piped into head; nothing more is written, at exit neither
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def is_whole(view: RobotView) -> bool:
    """Whether all that a robot with an edge bridge tells has come."""
    return all(topic in view.ages_s for topic in WHOLE_TOPICS)


def was_seen(view: RobotView) -> bool:
    """Whether anything came of it."""
    return math.isfinite(view.silence_s)


def _print_once(
    arguments: argparse.Namespace, watcher: RobotWatcher, console: Console
) -> int:
    watcher.wait_until(
        lambda views: bool(views) and all(view.state is not None for view in views),
        arguments.timeout,
    )
    views = watcher.views()
    if any(was_seen(view) for view in views):
        watcher.wait_until(  # more robots may come where none was named
            lambda views: bool(arguments.namespace) and all(is_whole(view) for view in views),
            SETTLE_S,
        )
        views = watcher.views()
    seen = [view for view in views if was_seen(view)]
    if seen and arguments.json:
        print(_json_line(seen), flush=True)
    elif seen:
        console.print(_screen(seen, None))
    missing = [view.namespace or '/' for view in views if not was_seen(view)]
    if seen and not missing:
        return 0
    print(
        f'visionscaling: nothing came of {_looked_for(missing)} within {arguments.timeout:g} s',
        file=sys.stderr,
    )
    return 1


def _print_lines(arguments: argparse.Namespace, watcher: RobotWatcher) -> None:
    while True:
        time.sleep(arguments.interval)
        views = watcher.views()
        if arguments.json:
            print(_json_line(views), flush=True)
            continue
        now = datetime.now()
        for view in views:
            print(f'{now:%H:%M:%S} {robot_line(view, now)}', flush=True)
        if not views:
            print(f'{now:%H:%M:%S} nothing yet of {_looked_for(())}', flush=True)


def _show(arguments: argparse.Namespace, watcher: RobotWatcher, console: Console) -> None:
    selected = ''  # by name: robots that come and go do not move the choice
    live = Live(console=console, screen=True, auto_refresh=False)
    with Keyboard() as keyboard, live:
        while True:
            views = watcher.views()
            names = [view.namespace for view in views]
            position = names.index(selected) if selected in names else 0
            live.update(_screen(views, position, keys=keyboard.present), refresh=True)
            for key in keyboard.wait(arguments.interval):
                if key == 'quit':
                    return
                position += 1 if key == 'down' else -1
                position = min(max(position, 0), len(names) - 1)
                selected = names[position] if names else ''


def _screen(views: Sequence[RobotView], selected: int | None, *, keys: bool = False) -> TopScreen:
    return TopScreen(
        views,
        datetime.now(),
        selected=selected,
        domain=_domain(),
        looked_for=_looked_for(()),
        keys=keys,
    )


def _looked_for(namespaces: Sequence[str]) -> str:
    robots = ', '.join(namespaces) if namespaces else 'any robot'
    return f'{robots} (slot_state, slot_decision, ... in ROS_DOMAIN_ID={_domain()})'


def _domain() -> str:
    return os.environ.get('ROS_DOMAIN_ID') or '0'


def _json_line(views: Sequence[RobotView]) -> str:
    content = {
        'time': datetime.now().astimezone().isoformat(),
        'robots': [robot_document(view) for view in views],
    }
    return json.dumps(json.loads(json_text(content)))
