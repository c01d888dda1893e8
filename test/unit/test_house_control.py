"""control/ imports nothing but NumPy, the standard library and what the rooms share."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import visionscaling_ros.control

ROOM = Path(visionscaling_ros.control.__file__).resolve().parent
SHARED = ('visionscaling_ros.control', 'visionscaling_ros.datatypes', 'visionscaling_ros.errors')


def imported_modules(source: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append('.' * node.level + (node.module or ''))
    return names


def is_allowed(name: str) -> bool:
    root = name.split('.')[0]
    if root == 'visionscaling_ros':
        return any(name == shared or name.startswith(shared + '.') for shared in SHARED)
    return root == 'numpy' or root in sys.stdlib_module_names


@pytest.mark.parametrize('path', sorted(ROOM.rglob('*.py')), ids=lambda path: path.name)
def test_imports_only_numpy_the_standard_library_and_shared_types(path: Path) -> None:
    assert [n for n in imported_modules(path.read_text()) if not is_allowed(n)] == []


@pytest.mark.parametrize('name', ['rclpy', 'torch', 'visionscaling_ros.edge', '.settings', 'scipy'])
def test_the_walk_would_notice(name: str) -> None:
    assert not is_allowed(name)


@pytest.mark.parametrize('path', sorted(ROOM.rglob('*.py')), ids=lambda path: path.name)
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350
