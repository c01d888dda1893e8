"""Where this user's files are kept, by the XDG base directory specification.

A user without a home has a folder among the temporary files.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_NAME = 'visionscaling_ros'


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/visionscaling_ros``: what can be made again, as exported networks."""
    return _folder('XDG_CACHE_HOME', '.cache')


def data_folder() -> Path:
    """``$XDG_DATA_HOME/visionscaling_ros``: what was asked for, as downloaded models."""
    return _folder('XDG_DATA_HOME', '.local/share')


def _folder(variable: str, default: str) -> Path:
    base = os.environ.get(variable, '')
    if os.path.isabs(base):  # the specification has relative paths ignored
        return Path(base) / _NAME
    try:
        return Path.home() / default / _NAME
    except RuntimeError:  # a user without a home, as containers have them
        return Path(tempfile.gettempdir()) / f'{_NAME}-{os.getuid()}' / default
