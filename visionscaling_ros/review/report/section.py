"""A section of the page: one run of one robot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from bokeh.document import Document
from bokeh.embed.util import standalone_docs_json_and_render_items

from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.review.report.decision_panels import decision_panels
from visionscaling_ros.review.report.decision_table import DecisionTable, decision_table
from visionscaling_ros.review.report.edge_panels import edge_panels
from visionscaling_ros.review.report.frame_panels import frame_panels
from visionscaling_ros.review.report.goal_panels import goal_panels
from visionscaling_ros.review.report.machine_panels import machine_panels
from visionscaling_ros.review.report.panel import Panel
from visionscaling_ros.review.report.run_view import RunView
from visionscaling_ros.review.report.sheet import Sheet
from visionscaling_ros.review.report.story import notes, story
from visionscaling_ros.review.report.tiles import Tile, tiles

_GROUPS: tuple[tuple[str, Callable[[RunView, Sheet], Iterator[Panel]]], ...] = (
    ('Frames', frame_panels),
    ('Accuracy and cost', goal_panels),
    ('The robot', machine_panels),
    ('The edge', edge_panels),
    ('Why it was decided so', decision_panels),
)


@dataclass(frozen=True)
class PanelGroup:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Section:
    """What the page template shows.

    :param anchor: id of the section in the page, of letters, digits and dashes.
    :param targets: id of the element that each figure is put into, by the panel's title.
    :param document: figures and data as BokehJS reads them, JSON that is safe in a script element.
    """

    anchor: str
    title: str
    paragraphs: list[str]
    notes: list[str]
    tiles: list[Tile]
    groups: tuple[PanelGroup, ...]
    table: DecisionTable
    settings: list[tuple[str, str]]
    targets: dict[str, str]
    document: str
    last_slot: int


def make_section(view: RunView, anchor: str, title: str) -> Section:
    """The section of a run."""
    sheet = Sheet(view.series)
    groups = tuple(PanelGroup(name, tuple(make(view, sheet))) for name, make in _GROUPS)
    document = Document()
    targets: dict[str, str] = {}
    with document.models.freeze():
        for group in groups:
            for panel in group.panels:
                if panel.figure is not None:
                    document.add_root(panel.figure)
                    targets[panel.title] = f'{anchor}-figure-{len(targets)}'
    return Section(
        anchor=anchor,
        title=title,
        paragraphs=story(view),
        notes=notes(view),
        tiles=tiles(view),
        groups=groups,
        table=decision_table(view),
        settings=_settings(view),
        targets=targets,
        document=_embedded(document, list(targets.values()), sheet),
        last_slot=len(view.series) - 1,
    )


def _embedded(document: Document, targets: list[str], sheet: Sheet) -> str:
    docs, items = standalone_docs_json_and_render_items(document)
    (content,) = docs.values()
    roots = {root.id: target for root, target in zip(document.roots, targets, strict=True)}
    embedded: dict[str, Any] = {
        'document': content,
        'docid': items[0].docid,
        'roots': roots,
        'bars': sheet.bars.id,
        'lines': sheet.lines.id,
        'range': sheet.x_range.id,
    }
    text = json.dumps(embedded, separators=(',', ':'), allow_nan=False)
    # so that no name in a bag can end the script element or begin another
    return text.replace('<', '\\u003c').replace('>', '\\u003e').replace('&', '\\u0026')


def _settings(view: RunView) -> list[tuple[str, str]]:
    first = view.series.slots[0].settings
    told = [('policy', first.policy), ('slot length', f'{first.slot_s:g} s')]
    told += [
        (field.name, _text(getattr(first.settings, field.name)))
        for field in fields(ControlSettings)
    ]
    return told


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ', '.join(str(part) for part in value) or 'all'
    return str(value) if str(value) else 'none'
