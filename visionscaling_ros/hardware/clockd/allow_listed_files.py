"""A machine's files of which only a few may be written."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path

from visionscaling_ros.hardware.device_files import DeviceFiles


class AllowListedFiles(DeviceFiles):
    """Refuses to write anything but the paths given, whoever asks.

    :param allowed: as the machine names them, for example ``/sys/class/devfreq/x/min_freq``.
    """

    def __init__(self, root: Path, allowed: Iterable[str]) -> None:
        super().__init__(root)
        self.allowed = frozenset(allowed)

    def write(self, path: str, text: str) -> None:
        """As DeviceFiles.write; PermissionError for a path that is not allowed."""
        if path not in self.allowed:
            raise PermissionError(errno.EPERM, 'not on the list of files to write', path)
        super().write(path, text)
