"""A machine's files that react to writes as the kernel's devfreq and cpufreq do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from visionscaling_ros.hardware.device_files import DeviceFiles

_LOWEST, _HIGHEST = ('min_freq', 'scaling_min_freq'), ('max_freq', 'scaling_max_freq')
_GOVERNORS = {
    'governor': 'available_governors',
    'scaling_governor': 'scaling_available_governors',
}


class KernelFiles(DeviceFiles):
    """A tree of test/unit/hardware_trees.py with a kernel up to 4.19 behind it.

    A lowest above the highest is refused with EINVAL, as in drivers/devfreq/devfreq.c
    min_freq_store; so is what is no number, and a governor that is not listed. The clock follows
    the range at once.

    :param root: the tree's.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.writes: list[tuple[str, str]] = []  # taken, in order
        self.refused: dict[str, int] = {}  # by name of an attribute: errno of a write
        self.unwritable: set[str] = set()  # paths
        self.held: dict[str, str] = {}  # by name: what it reads whatever was written
        self.late_reads = 0  # of an attribute, after a write, that still tell what was before
        self._late: dict[str, tuple[int, str]] = {}

    def read(self, path: str) -> str:
        name = path.rpartition('/')[2]
        left, before = self._late.get(path, (0, ''))
        if left:
            self._late[path] = left - 1, before
            return before
        return self.held.get(name, super().read(path))

    def may_write(self, path: str) -> bool:
        return path not in self.unwritable and super().may_write(path)

    def write(self, path: str, text: str) -> None:
        folder, _, name = path.rpartition('/')
        code = self.refused.get(name) or (errno.EACCES if path in self.unwritable else 0)
        if code or not self._takes(folder, name, text):
            code = code or errno.EINVAL
            raise OSError(code, os.strerror(code), path)
        self._late[path] = self.late_reads, super().read(path)
        super().write(path, text)
        self.writes.append((path, text))
        if name in _LOWEST + _HIGHEST:
            self._follow(folder, 'scaling_' if name.startswith('scaling_') else '')

    def _takes(self, folder: str, name: str, text: str) -> bool:
        if name in _GOVERNORS:
            return text in super().read(f'{folder}/{_GOVERNORS[name]}').split()
        if not text.isdecimal():
            return False
        if name in _LOWEST:
            lowest, highest = text, super().read(f'{folder}/{name.replace("min", "max")}')
        else:
            lowest, highest = super().read(f'{folder}/{name.replace("max", "min")}'), text
        return int(highest) == 0 or int(lowest) <= int(highest)

    def _follow(self, folder: str, prefix: str) -> None:
        lowest = int(super().read(f'{folder}/{prefix}min_freq'))
        highest = int(super().read(f'{folder}/{prefix}max_freq')) or 2**63 - 1
        current = int(super().read(f'{folder}/{prefix}cur_freq'))
        super().write(f'{folder}/{prefix}cur_freq', str(min(max(current, lowest), highest)))
