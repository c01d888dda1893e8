"""Where this user's processes keep what must outlive them, but not a reboot."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def state_folder() -> Path:
    """``$XDG_RUNTIME_DIR/visionscaling_ros``, else a folder of this user under the temporary one.

    A reboot resets a GPU's clock and empties these folders, so they always agree.
    """
    runtime = os.environ.get('XDG_RUNTIME_DIR', '')
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / 'visionscaling_ros'
    return Path(tempfile.gettempdir()) / f'visionscaling_ros-{os.getuid()}'
