"""What ``visionscaling top`` draws: robots at any width, as much as the height has room for."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.rule import Rule
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from visionscaling_ros.watch.detail_rows import detail_rows
from visionscaling_ros.watch.explanation_words import decision_sentences
from visionscaling_ros.watch.robot_list import CONDITION_STYLES, robot_list
from visionscaling_ros.watch.robot_view import RobotView
from visionscaling_ros.watch.robot_words import (
    condition_words,
    head_words,
    robot_name,
    warning_rows,
    why,
)
from visionscaling_ros.watch.sparkline import sparkline
from visionscaling_ros.watch.words import figure

LABEL_WIDTH = 9
WIDE = 130  # columns from which on the last minute stands beside the rest
TRENDS_WIDTH = 64
LEAST_SPARKS = 8
_LEVEL_STYLES = {'WARN': 'yellow', 'ERROR': 'bold red', 'STALE': 'bold red'}
# field of a Sample, label, factor, unit, decimals
_TRENDS = (
    ('processed_fps', 'frames/s', 1.0, '', 1),
    ('power_w', 'power', 1.0, ' W', 2),
    ('achieved_map', 'mAP', 1.0, '', 3),
    ('capacity_bps', 'capacity', 1e-6, ' Mbit/s', 2),
)


class Fullness(enum.IntEnum):
    """How much is told of the robot in detail."""

    FIGURES = 0  # figures, warnings and why in a line
    TRENDS = 1  # and how they went
    SENTENCES = 2  # and why in whole sentences


@dataclass(frozen=True)
class TopScreen:
    """Robots as a rich renderable, as wide as the console and no higher, where it has a height.

    :param selected: position in ``views`` of the one shown in detail; None: all of them are.
    :param looked_for: what is looked for, told while no robot is there.
    :param keys: whether there is a keyboard.
    """

    views: Sequence[RobotView]
    now: datetime
    selected: int | None = 0
    domain: str = '0'
    looked_for: str = ''
    keys: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or math.inf
        options = options.update(height=None)
        foot = console.render_lines(self._foot(), options) if self.keys else []
        for fullness in sorted(Fullness, reverse=True):
            lines = console.render_lines(self._body(fullness, options, height), options)
            if len(lines) + len(foot) <= height:
                break
        else:
            lines = lines[: int(height) - len(foot)]
        for line in (*lines, *foot):
            yield from line
            yield Segment.line()

    def _body(
        self, fullness: Fullness, options: ConsoleOptions, height: float
    ) -> RenderableType:
        parts: list[RenderableType] = [self._title()]
        if not self.views:
            return Group(*parts, Text(f'Nothing yet of {self.looked_for}'))
        if self.selected is None:
            chosen = list(self.views)
        else:
            selected = min(max(self.selected, 0), len(self.views) - 1)
            chosen = [self.views[selected]]
            if len(self.views) > 1:
                most = int(max(3.0, min(height / 3.0, len(self.views))))
                parts.append(robot_list(self.views, selected, self.now, options.max_width, most))
        for view in chosen:
            parts.append(Rule(style='dim', characters='-'))
            parts += self._detail(view, fullness, options)
        return Group(*parts)

    def _title(self) -> Text:
        count = len(self.views)
        robots = f'{count} robot{"" if count == 1 else "s"}'
        return Text(
            f'visionscaling top  {robots}, domain {self.domain}, {self.now:%H:%M:%S}', 'bold'
        )

    def _foot(self) -> Text:
        choose = 'j/k or arrows: another robot   ' if len(self.views) > 1 else ''
        return Text(f'{choose}q: quit', 'dim')

    def _detail(
        self, view: RobotView, fullness: Fullness, options: ConsoleOptions
    ) -> list[RenderableType]:
        rows = _grid()
        for label, text in detail_rows(view):
            rows.add_row(Text(label, 'dim'), Text(text))
        if view.decision is not None:
            whole = fullness is Fullness.SENTENCES
            reasons = decision_sentences(view.decision) if whole else why(view)
            rows.add_row(Text('why', 'dim'), Text(reasons))
        for level, words in warning_rows(view):
            style = _LEVEL_STYLES.get(level, '')
            rows.add_row(Text(level, style), Text(words, style))
        head = _head(view, self.now)
        if fullness is Fullness.FIGURES:
            return [head, rows]
        if options.max_width < WIDE:
            return [head, rows, _trends(view, options.max_width, options.ascii_only)]
        beside = Table.grid(padding=(0, 2))
        beside.add_column(width=options.max_width - TRENDS_WIDTH - 2)
        beside.add_column(width=TRENDS_WIDTH)
        beside.add_row(rows, _trends(view, TRENDS_WIDTH, options.ascii_only))
        return [head, beside]


def _head(view: RobotView, now: datetime) -> Text:
    style = CONDITION_STYLES[view.condition]
    head = Text.assemble((robot_name(view), 'bold'), '  ', (condition_words(view, now), style))
    words = head_words(view)
    return head.append(f'  {words}') if words else head


def _trends(view: RobotView, width: int, ascii_only: bool) -> RenderableType:
    """The last minute of four figures, each with the range it moved in."""
    rows = _grid()
    for name, label, factor, unit, decimals in _TRENDS:
        values = [factor * getattr(sample, name) for sample in view.history]
        finite = [value for value in values if math.isfinite(value)]
        if not finite:
            continue
        low, high = figure(min(finite), decimals), figure(max(finite), decimals)
        between = f'{low} to {high}{unit}' if low != high else f'{low}{unit}'
        room = width - LABEL_WIDTH - len(between) - 3
        if room >= LEAST_SPARKS:
            bars = sparkline(values, room, ascii_only=ascii_only)
            rows.add_row(Text(label, 'dim'), Text.assemble((bars, 'cyan'), f'  {between}'))
    return rows


def _grid() -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=LABEL_WIDTH, no_wrap=True)
    grid.add_column(overflow='fold', ratio=1)
    grid.expand = True
    return grid
