"""Makes the harness importable and gives every graph test its own domain."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

if importlib.util.find_spec('rclpy') is None:  # nothing here runs without a sourced ROS 2
    collect_ignore_glob = ['test_*.py']


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Any]:
    """A ``graph_harness.Graph`` of its own; nothing of it is left afterwards."""
    from graph_harness import private_graph

    with private_graph(tmp_path) as private:
        yield private
