"""What the tables of ``visionscaling hardware`` say of meters."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from hardware_trees import TREES
from rich.console import Console

from visionscaling_ros.cli.hardware_inventory import take_inventory
from visionscaling_ros.cli.hardware_tables import print_inventory


@pytest.mark.parametrize(
    ('name', 'total', 'others', 'covers'),
    [
        ('tx2', 'VDD_IN', ('VDD_MUX', 'VDD_SYS_GPU'), 'the module without its carrier board'),
        ('thor', 'VIN', ('VDD_GPU',), 'the module and its carrier board'),
        ('pc', 'package-0', ('package-0/core', 'package-0/dram'), 'the processor alone'),
    ],
)
def test_what_is_in_the_total_and_what_that_covers_is_told(
    name: str,
    total: str,
    others: tuple[str, ...],
    covers: str,
    tmp_path: Path,
) -> None:
    console = Console(width=80, file=StringIO())
    print_inventory(take_inventory(TREES[name](tmp_path).files), console)
    assert isinstance(console.file, StringIO)
    said = console.file.getvalue()
    lines = {word: line.rstrip() for line in said.splitlines() for word in line.split()}
    assert lines[total].endswith('total')
    assert all(lines[rail].endswith('not added') for rail in others)
    assert f'its total is of {covers}' in said
