"""A lock that the kernel drops with the process that holds it."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from pathlib import Path
from typing import IO

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.atomic_file import make_folder
from visionscaling_ros.hardware.state_folder import check_folder_is_ours

MAX_OWNER_BYTES = 200


class OwnedError(HardwareError):
    """Another process that lives owns it."""


class OwnerLock:
    """Lets one process at a time own what a file stands for; the file says which.

    :param path: the file; it stays when nobody owns it.
    :param what: what is owned, for errors.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._what = what
        self._file: IO[bytes] | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._file is not None

    def take(self) -> None:
        """Hold it.

        Raises OwnedError naming the owner if there is another, HardwareError when the file cannot
        be made or somebody else may have made it or can change its folder.
        """
        if self._file is not None:
            return
        file = self._open()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = file.read(MAX_OWNER_BYTES).decode(errors='replace').strip()
            file.close()
            raise owned(self._what, f'process {owner or "unknown"}') from error
        file.truncate(0)
        file.write(f'{os.getpid()} ({Path(sys.argv[0]).name})\n'.encode())
        self._file = file

    def drop(self) -> None:
        """Let it go."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open(self) -> IO[bytes]:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            make_folder(self._path.parent)
            check_folder_is_ours(self._path.parent)
            file = os.fdopen(os.open(self._path, flags, 0o644), 'rb+', buffering=0)
        except OSError as error:
            raise HardwareError(f'{self._path} cannot be made: {error.strerror}') from error
        status = os.fstat(file.fileno())
        if (
            not stat.S_ISREG(status.st_mode)
            or status.st_uid not in (0, os.geteuid())
            or status.st_nlink != 1
        ):
            file.close()
            raise HardwareError(f'{self._path} was made by somebody else: remove it')
        return file


def owned(what: str, owner: str) -> OwnedError:
    """The error for something that another process owns."""
    return OwnedError(f'{what} is already set by {owner}: only one may; this one leaves it alone')
