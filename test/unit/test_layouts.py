"""Layouts for Foxglove, PlotJuggler and rqt name only topics and fields that there are."""

from __future__ import annotations

import argparse
import ast
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from visionscaling_ros.bags.message_types import type_name, typestore
from visionscaling_ros.cli import layouts
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.watch.layouts import LAYOUTS, ROBOT_NAMES, in_namespace
from visionscaling_ros.watch.namespace import robot_namespace

CONFIG = Path(__file__).resolve().parents[2] / 'config'
FOXGLOVE, PLOTJUGGLER, RQT = ((CONFIG / layout).read_text() for layout in LAYOUTS)
IMAGE = 'sensor_msgs/msg/Image'
TOPICS = {
    '/slot_state': type_name('SlotState'),
    '/slot_decision': type_name('SlotDecision'),
    '/controller_settings': type_name('ControllerSettings'),
    '/inference_state': type_name('InferenceState'),
    '/gpu_state': type_name('GpuState'),
    '/link_state': type_name('LinkState'),
    '/frame_result': type_name('FrameResult'),
    '/image_raw': IMAGE,
    '/inference_node/debug_image': IMAGE,
    '/diagnostics': 'diagnostic_msgs/msg/DiagnosticArray',
}
BASE, NAME, ARRAY, SEQUENCE = 1, 2, 3, 4  # kinds of fields in rosbags' definitions
NUMBERS = re.compile(r'u?int\d+|float\d+|bool')
FOXGLOVE_PART = re.compile(r'(?P<name>\w+)(?P<index>\[(\d+|:)\])?(\{(?P<filter>\w+)==[^}]*\})?')


def field_type(message_type: str, name: str) -> tuple[str, bool]:
    """Type of a field and whether it is a list of them; fails where there is no such field."""
    fields = dict(typestore().fielddefs[message_type][1])
    assert name in fields, f'{message_type} has no field {name}'
    kind, definition = fields[name]
    if kind in (ARRAY, SEQUENCE):
        return definition[0][1][0] if definition[0][0] == BASE else definition[0][1], True
    return definition[0] if kind == BASE else definition, False


def type_at(topic: str, parts: list[tuple[str, bool]]) -> str:
    """Type of what (name, indexed?) after (name, indexed?) leads to."""
    message_type = TOPICS[topic]
    for name, indexed in parts:
        message_type, is_list = field_type(message_type, name)
        assert is_list == indexed, f'{topic} {name}'
    return message_type


def foxglove_type(path: str) -> str:
    """Type of a message path of Foxglove; fails where it leads nowhere."""
    topic = max((t for t in TOPICS if re.match(rf'{t}(\.|$)', path)), key=len, default='')
    assert topic, path
    parts = []
    rest = path.removeprefix(topic)
    while rest:
        found = FOXGLOVE_PART.match(rest, 1)
        assert found, path
        assert rest[0] == '.', path
        parts.append((found['name'], found['index'] is not None))
        if found['filter']:
            filtered = type_at(topic, parts)
            field_type(filtered, found['filter'])
        rest = rest[found.end() :]
    return type_at(topic, parts)


def slashed_type(path: str) -> str:
    """Type of a path such as PlotJuggler and rqt have it: /topic/field/array[0]/field."""
    topic = max((t for t in TOPICS if path.startswith(f'{t}/')), key=len, default='')
    assert topic, path
    parts = path.removeprefix(f'{topic}/').split('/')
    return type_at(topic, [(p.partition('[')[0], p.endswith(']')) for p in parts])


def foxglove_panels(layout: str = FOXGLOVE) -> dict[str, Any]:
    return json.loads(layout)['configById']


def leaves(layout: Any) -> Iterator[str]:
    """Panels of a layout tree."""
    if isinstance(layout, str):
        yield layout
    else:
        assert layout['direction'] in {'row', 'column'}
        assert 0 < layout['splitPercentage'] < 100
        yield from (*leaves(layout['first']), *leaves(layout['second']))


def test_every_panel_of_foxglove_is_placed_once() -> None:
    document = json.loads(FOXGLOVE)
    assert set(document) == {
        'configById', 'globalVariables', 'userNodes', 'playbackConfig', 'layout',
    }  # fmt: skip
    panels = document['configById']
    placed = [document['layout']]
    for tab in panels[document['layout']]['tabs']:
        placed += leaves(tab['layout'])
    assert sorted(placed) == sorted(panels)


def test_foxglove_plots_numbers_that_there_are() -> None:
    plots = {k: v for k, v in foxglove_panels().items() if k.startswith('Plot!')}
    assert len(plots) >= 15
    for plot in plots.values():
        for path in plot['paths']:
            if not re.fullmatch(r'[\d.]+', path['value']):  # a line at that value
                assert NUMBERS.fullmatch(foxglove_type(path['value'])), path


def test_foxglove_shows_states_and_images_that_there_are() -> None:
    panels = foxglove_panels()
    seen = set()
    for name, panel in panels.items():
        kind = name.split('!')[0]
        seen.add(kind)
        if kind == 'StateTransitions':
            for path in panel['paths']:
                assert re.fullmatch(r'string|bool|u?int\d+', foxglove_type(path['value'])), path
        elif kind == 'Image':
            assert foxglove_type(panel['imageMode']['imageTopic']) == IMAGE
        elif kind == 'RawMessages':
            foxglove_type(panel['topicPath'])
        elif kind.startswith('Diagnostic'):
            assert panel['topicToRender'] in TOPICS
    assert seen == {
        'Plot', 'StateTransitions', 'Image', 'RawMessages', 'DiagnosticSummary',
        'DiagnosticStatusPanel', 'RosOut', 'Parameters', 'Tab',
    }  # fmt: skip


def plotjuggler_curves(layout: str = PLOTJUGGLER) -> list[str]:
    return [curve.attrib['name'] for curve in ElementTree.fromstring(layout).iter('curve')]


def test_plotjuggler_plots_numbers_that_there_are() -> None:
    curves = plotjuggler_curves()
    assert len(curves) >= 40
    for curve in curves:
        assert NUMBERS.fullmatch(slashed_type(curve)), curve


def test_plotjuggler_subscribes_to_what_it_plots() -> None:
    root = ElementTree.fromstring(PLOTJUGGLER)
    plugins = {p.attrib['ID']: p for p in root.findall('Plugins/plugin')}
    assert set(plugins) == {'ROS2 Topic Subscriber', 'DataLoad ROS2 bags'}
    assert root.find('previouslyLoaded_Streamer').attrib['name'] in plugins
    for plugin in plugins.values():
        selected = set(plugin.find('selected_topics').attrib['value'].split(';'))
        assert selected <= set(TOPICS)
        assert selected == {f'/{curve.split("/")[1]}' for curve in plotjuggler_curves()}


def test_plotjuggler_splits_its_tabs_as_it_says() -> None:
    root = ElementTree.fromstring(PLOTJUGGLER)
    assert root.tag == 'root'
    tabs = root.findall('tabbed_widget/Tab')
    assert len(tabs) == 5
    for splitter in root.iter('DockSplitter'):
        assert splitter.attrib['orientation'] in '|-'
        count = int(splitter.attrib['count'])
        assert count == len(splitter) == len(splitter.attrib['sizes'].split(';'))
    for area in root.iter('DockArea'):
        assert [child.tag for child in area] == ['plot']


def rqt_values(layout: str = RQT) -> dict[str, Any]:
    """Its settings by their path; values as rqt evaluates them."""

    def walk(group: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        assert set(group) == {'keys', 'groups'}
        for key, value in group['keys'].items():
            text = value[value['type']]
            if value['type'] == 'repr':
                yield f'{path}/{key}', ast.literal_eval(text)
            else:
                assert value['type'] == 'repr(QByteArray.hex)'
                found = re.fullmatch(r"QtCore\.QByteArray\(b'([0-9a-f]+)'\)", text)
                yield f'{path}/{key}', bytes.fromhex(found[1])
        for name, sub in group['groups'].items():
            yield from walk(sub, f'{path}/{name}')

    return dict(walk(json.loads(layout), ''))


def test_rqt_runs_the_plugins_it_has_settings_of() -> None:
    values = rqt_values()
    running = values['/pluginmanager/running-plugins']
    assert set(running) == {
        'rqt_plot/Plot', 'rqt_image_view/ImageView', 'rqt_reconfigure/Param',
        'rqt_runtime_monitor/RuntimeMonitor',
    }  # fmt: skip
    instances = {
        f'plugin__{name.replace("/", "__")}__{number}'
        for name, numbers in running.items()
        for number in numbers
    }
    assert {path.split('/')[2] for path in values if '/plugin__' in path} == instances
    state = values['/mainwindow/state'].decode('utf-16-be', errors='replace')
    shifted = values['/mainwindow/state'][1:].decode('utf-16-be', errors='replace')
    for instance in instances:
        assert instance.removeprefix('plugin__') in state + shifted, instance


def test_rqt_plots_numbers_and_shows_images_that_there_are() -> None:
    values = rqt_values()
    plots = [value for path, value in values.items() if path.endswith('/topics')]
    assert len(plots) == 3
    for path in itertools.chain(*plots):
        assert NUMBERS.fullmatch(slashed_type(path)), path
    images = [value for path, value in values.items() if path.endswith('/topic')]
    assert [TOPICS[topic] for topic in images] == [IMAGE]


@pytest.mark.parametrize('layout', [FOXGLOVE, PLOTJUGGLER, RQT], ids=['foxglove', 'pj', 'rqt'])
def test_every_name_of_the_robot_moves_into_its_namespace(layout: str) -> None:
    moved = in_namespace(layout, '/fleet/drone1')
    names = rf'/(?:{"|".join(ROBOT_NAMES)})\b'
    assert len(re.findall(rf'/fleet/drone1{names}', moved)) == len(re.findall(names, layout))
    assert not re.search(rf'["\';]{names}', moved)
    assert moved.count('/diagnostics') == layout.count('/diagnostics')
    assert in_namespace(layout, '') == layout


def test_a_moved_layout_is_whole() -> None:
    filters = [
        panel['hardwareIdFilter']
        for panel in foxglove_panels(in_namespace(FOXGLOVE, '/drone1')).values()
        if 'hardwareIdFilter' in panel
    ]
    assert filters == ['/drone1']
    curves = plotjuggler_curves(in_namespace(PLOTJUGGLER, '/drone1'))
    assert curves == [f'/drone1{curve}' for curve in plotjuggler_curves()]
    values = rqt_values(in_namespace(RQT, '/drone1'))
    plugin = '/pluginmanager/plugin__rqt_image_view__ImageView__1/plugin'
    assert values[f'{plugin}/topic'] == '/drone1/inference_node/debug_image'


@pytest.mark.parametrize(
    ('text', 'namespace'), [('/', ''), ('', ''), ('drone1', '/drone1'), ('/a/b/', '/a/b')]
)
def test_namespaces(text: str, namespace: str) -> None:
    assert robot_namespace(text) == namespace


@pytest.mark.parametrize('text', ['a b', '/1', 'a//b', '/a"', 'ä', '~a'])
def test_what_is_no_namespace_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match='ROS namespace'):
        robot_namespace(text)


def written(monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    """Exit status of the command, on the files of this checkout."""
    monkeypatch.setattr(layouts, 'share_directory', lambda: CONFIG.parent)
    parser = argparse.ArgumentParser()
    layouts.add_arguments(parser)
    return layouts.run(parser.parse_args(options))


def test_the_command_writes_all_three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / 'new'
    assert written(monkeypatch, '--namespace', 'drone1', '--out', str(folder)) == 0
    for layout, root in zip(LAYOUTS, (FOXGLOVE, PLOTJUGGLER, RQT), strict=True):
        assert (folder / layout.name).read_text() == in_namespace(root, '/drone1')


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(InvalidValueError, match='a folder to write'):
        written(monkeypatch, '--out', str(tmp_path / 'file'))
