"""A machine's own files, below a root that can be another than ``/``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

MAX_BYTES = 4096  # of an attribute in sysfs: one page


class DeviceFiles:
    """Reads and writes attributes as sysfs and procfs have them; raises OSError as they do.

    Paths are those of the machine (``/sys/class/devfreq/...``); ``root`` stands before them.

    :param root: ``/``, or the folder of a tree that stands for a machine.
    """

    def __init__(self, root: Path = Path('/')) -> None:
        self.root = root

    def real(self, path: str) -> Path:
        """Where ``path`` lies on this file system."""
        return self.root / path.lstrip('/')

    def read(self, path: str) -> str:
        """The attribute's text without the white space around it."""
        descriptor = os.open(self.real(path), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, MAX_BYTES).decode('utf-8', errors='replace').strip()
        finally:
            os.close(descriptor)

    def write(self, path: str, text: str) -> None:
        """Write the whole attribute in one call: the kernel takes it or refuses it as one."""
        data = f'{text}\n'.encode()
        descriptor = os.open(self.real(path), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, data)
            # Only a plain file keeps more; it must never be empty, not even for a moment.
            os.ftruncate(descriptor, len(data))
        finally:
            os.close(descriptor)

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return self.real(path).exists()

    def may_write(self, path: str) -> bool:
        """Whether this process may write it."""
        return os.access(self.real(path), os.W_OK)

    def find(self, pattern: str) -> Iterator[str]:
        """Paths that match a pattern as of ``Path.glob``, sorted."""
        for found in sorted(self.root.glob(pattern.lstrip('/'))):
            yield f'/{found.relative_to(self.root)}'
