"""The house rules, proved by walking the imports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / 'visionscaling_ros'
ROS = {'rclpy', 'std_msgs', 'sensor_msgs', 'diagnostic_msgs', 'lifecycle_msgs', 'rcl_interfaces'}
SHARED = {
    'datatypes', 'errors', 'fields', 'installed', 'json_file', 'message_reading', 'whole_file',
}  # fmt: skip
MAY_IMPORT = {
    'control': set(),
    'vision': set(),
    'edge': set(),
    'hardware': set(),
    'pipeline': set(),
    'graph': {'bags'},
    'bags': set(),
    'watch': {'control'},
    'review': {'control', 'simulation', 'bags', 'watch'},
    'simulation': {'control', 'vision', 'edge', 'hardware'},
    'demo': {'vision'},
    'profiling': {'vision', 'hardware', 'simulation'},
    'serving': {'vision', 'edge'},
    'trials': {'vision', 'edge', 'serving', 'graph', 'hardware'},
}
FILES = sorted(PACKAGE.rglob('*.py'))


def imports_of(path: Path) -> set[str]:
    """Every module a file imports, at its top or in a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f'{node.module}.{alias.name}' for alias in node.names)
    return names


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix('.py')


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    room = room_of(path)
    if room in {'nodes', 'cli'}:
        return
    allowed = MAY_IMPORT.get(room, set()) | SHARED | {room}
    for name in imports_of(path):
        if name.startswith('visionscaling_ros.'):
            assert name.split('.')[1] in allowed | {'__version__'}, f'{room} imports {name}'


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_nodes_import_ros(path: Path) -> None:
    imported = imports_of(path)
    uses_ros = {name.split('.')[0] for name in imported} & ROS
    uses_messages = any(name.startswith('visionscaling_ros.msg') for name in imported)
    if room_of(path) != 'nodes':
        assert not uses_ros
        assert not uses_messages


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding='utf-8').splitlines()) <= 350
