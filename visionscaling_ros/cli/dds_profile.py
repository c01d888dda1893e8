"""``visionscaling dds-profile``: for a shell that starts nodes of its own beside ours."""

from __future__ import annotations

import argparse

from visionscaling_ros.graph.dds_profile import dds_environment

HELP = 'print shell commands for a DDS profile that carries images; eval them'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(arguments: argparse.Namespace) -> int:
    """Print one export a variable; nothing if the user has chosen a profile."""
    for name, value in dds_environment().items():
        print(f"export {name}='{value}'")
    return 0
