"""A folder on a file system of its own that can be filled without harm to any other."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

SIZE_KIB = 512


class SmallDisk:
    """A tmpfs where this process may mount one; use as a context manager.

    Where it may not, ``can_be_full`` is False and the folder is an ordinary one, never filled.
    """

    def __enter__(self) -> SmallDisk:
        self._folder = tempfile.TemporaryDirectory(prefix='visionscaling-disk-')
        self.path = Path(self._folder.name)
        mount = ('mount', '-t', 'tmpfs', '-o', f'size={SIZE_KIB}k', 'tmpfs', str(self.path))
        self.can_be_full = _succeeds(*mount)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.can_be_full:
            _succeeds('umount', '--lazy', str(self.path))
        self._folder.cleanup()

    def fill(self) -> None:
        """Leave no byte free, unless it is somebody else's."""
        if not self.can_be_full:
            return
        with contextlib.suppress(OSError), (self.path / 'filler').open('wb', buffering=0) as filler:
            while True:
                filler.write(bytes(4096))

    def free(self) -> None:
        """Give the space back."""
        (self.path / 'filler').unlink(missing_ok=True)


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
