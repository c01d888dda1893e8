"""A lock that the kernel drops with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import IO

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.atomic_file import make_folder


class OwnerLock:
    """Lets one process at a time own what a file stands for; the file says which.

    :param path: the file; it stays when nobody owns it.
    :param what: what is owned, for errors.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what
        self._file: IO[str] | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._file is not None

    def take(self) -> None:
        """Hold it; raises HardwareError naming the owner if there is another."""
        if self._file is not None:
            return
        try:
            make_folder(self._path.parent)
            file = self._path.open('a+', encoding='utf-8')
        except OSError as error:
            raise HardwareError(f'{self._path} cannot be made: {error.strerror}') from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            owner = file.read().strip() or 'unknown'
            file.close()
            raise HardwareError(
                f'{self._what} is already set by process {owner}: only one may; '
                'this one leaves it alone'
            ) from error
        file.truncate(0)
        file.write(f'{os.getpid()} ({Path(sys.argv[0]).name})\n')
        file.flush()
        self._file = file

    def drop(self) -> None:
        """Let it go."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
