"""Figures as files."""

from __future__ import annotations

from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.whole_file import whole_file

_DPI = 110


def save_picture(figure: Figure, path: Path) -> None:
    """Save and close a figure; raises InvalidValueError where the file cannot be written."""
    try:
        with whole_file(path) as partial:
            figure.savefig(partial, dpi=_DPI)
    except OSError as error:
        raise InvalidValueError('plot', str(path), f'a file to write ({error})') from error
    finally:
        plt.close(figure)
