"""Several robots, one in a line each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from visionscaling_ros.watch.robot_view import Condition, RobotView
from visionscaling_ros.watch.robot_words import condition_words, robot_name, short_condition
from visionscaling_ros.watch.words import figure, plain_name

ROOMY = 110  # columns from which on policy, allocation and the whole condition are told
CONDITION_STYLES = {
    Condition.GONE: 'bold red',
    Condition.SILENT: 'bold red',
    Condition.UNDECIDED: 'bold red',
    Condition.ERROR: 'bold red',
    Condition.FALLBACK: 'bold yellow',
    Condition.WARNING: 'yellow',
    Condition.STARTING: 'cyan',
    Condition.LIVE: 'green',
}


def robot_list(
    views: Sequence[RobotView], selected: int, now: datetime, width: int, most: int
) -> RenderableType:
    """A table of at most ``most`` robots around the selected one."""
    first = min(max(selected - most // 2, 0), max(len(views) - most, 0))
    shown = views[first : first + most]
    roomy = width >= ROOMY
    table = Table(box=None, pad_edge=False, header_style='dim', expand=True)
    table.add_column('', width=1)
    table.add_column('robot', ratio=1, overflow='fold')
    if roomy:
        table.add_column('policy', no_wrap=True)
    for heading in ('mAP/target', 'frames/s', 'W', 'GHz', '°C'):
        table.add_column(heading, justify='right', no_wrap=True)
    table.add_column('edge', no_wrap=True)
    table.add_column('', ratio=1 if roomy else None, no_wrap=not roomy)
    for position, view in enumerate(shown, first):
        condition = condition_words(view, now) if roomy else short_condition(view)
        cells = [
            Text('>' if position == selected else ' '),
            Text(robot_name(view), 'bold' if position == selected else ''),
            *([Text(plain_name(view.state.policy, 20) if view.state else '')] if roomy else []),
            *(Text(cell) for cell in _figures(view)),
            Text(condition, CONDITION_STYLES[view.condition]),
        ]
        table.add_row(*cells)
    hidden = len(views) - len(shown)
    return Group(table, Text(f'  and {hidden} more', 'dim')) if hidden else table


def _figures(view: RobotView) -> tuple[str, ...]:
    state = view.state
    if state is None:
        return ('',) * 6
    return (
        f'{figure(state.achieved_map, 3)}/{figure(view.accuracy_target_map, 3)}',
        f'{figure(view.processed_fps)}/{figure(state.arrival_fps)}',
        figure(state.power_w, 2),
        figure((view.gpu.frequency_hz if view.gpu else state.gpu_frequency_hz) * 1e-9, 2),
        figure(state.gpu_temperature_c, 0),
        _edge(view),
    )


def _edge(view: RobotView) -> str:
    reachable = view.link.reachable if view.link else view.state is not None and (
        view.state.edge_reachable
    )
    return 'up' if reachable else 'away'
