"""Where the package's files lie, whether it came by colcon, by pip or straight from the sources."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from visionscaling_ros.errors import VisionScalingError

PACKAGE = 'visionscaling_ros'


def _folders_above() -> Iterator[Path]:
    return iter(Path(__file__).parents[1:])


def share_directory() -> Path:
    """The folder that holds ``launch/`` and ``config/``; raises VisionScalingError."""
    for folder in _folders_above():
        for candidate in (folder / 'share' / PACKAGE, folder):
            if (candidate / 'config').is_dir() and (candidate / 'package.xml').is_file():
                return candidate
    raise VisionScalingError(f'no share/{PACKAGE} above {__file__}: install the package')


def program_command(program: str) -> list[str]:
    """Command that runs a program of the package; raises VisionScalingError.

    The program's path and not ``python -m``, which would look in the current folder first.
    """
    for folder in _folders_above():
        for candidate in (
            folder / 'lib' / PACKAGE / program,
            folder / 'scripts' / program,
            folder / 'bin' / program,
        ):
            if candidate.is_file():
                return [sys.executable, str(candidate)]
    raise VisionScalingError(
        f'no program {program} above {__file__}: build the package with colcon'
    )
