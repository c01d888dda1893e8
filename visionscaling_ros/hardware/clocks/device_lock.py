"""One process at a time sets a device, of whichever user and in whatever way."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.owner_lock import owned

LOCKS = Path('/proc/locks')  # proc(5)
PATIENCE_S = 0.05  # others hold it for a moment only, to look who sets the device
_POLL_S = 0.005
_CANNOT_SET = {errno.ENOENT, errno.ENODEV, errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY}


class DeviceLock:
    """flock(2) on the files by which a device is set; a context manager that holds it.

    The kernel does it for every file system that has no way of its own (fs/locks.c, flock), sysfs
    among them, and drops it with the process. It asks nobody whether he may write, so the lock of
    a process that may not counts for nothing, as far as /proc tells. The files are opened for
    writing and not written. Each mount of sysfs has files of its own to it: a network namespace of
    its own, as most containers have, mounts another.

    :param paths: none: there is nothing to lock.
    :param what: the device, for errors.
    """

    def __init__(self, paths: Sequence[Path], what: str) -> None:
        self._paths = paths
        self._what = what
        self._files: list[IO[bytes]] = []

    def take(self) -> None:
        """Hold it; raises OwnedError naming the process that does if there is another.

        A file that this process cannot write is passed over: by that it sets nothing.
        """
        if self._files:
            return
        try:
            for path in self._paths:
                self._lock(path)
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        """Let it go."""
        while self._files:
            self._files.pop().close()

    def __enter__(self) -> DeviceLock:
        self.take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.drop()

    def _lock(self, path: Path) -> None:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _CANNOT_SET:
                return
            raise HardwareError(f'{path} cannot be opened: {error.strerror}') from error
        self._files.append(os.fdopen(descriptor, 'wb', buffering=0))
        give_up_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() < give_up_s:
                    time.sleep(_POLL_S)
                    continue
                pids = _holders(descriptor)
                if pids and not any(_may_write(pid, os.fstat(descriptor)) for pid in pids):
                    return
                who = f'process {pids[0]}' if pids else 'another process'
                raise owned(self._what, who) from error
            except OSError as error:
                raise HardwareError(f'{path} cannot be locked: {error.strerror}') from error
            else:
                return


def _holders(descriptor: int) -> list[int]:
    """Who holds locks of the file, as far as the kernel tells."""
    status = os.fstat(descriptor)
    device = f'{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}'
    held = re.compile(rf'\d+: FLOCK +\w+ +\w+ +(\d+) +{device}:{status.st_ino} ')
    try:
        return [int(pid) for pid in held.findall(LOCKS.read_text(encoding='ascii'))]
    except OSError:
        return []


def _may_write(pid: int, file: os.stat_result) -> bool:
    """Whether a process that lives may write a file; it may where that is not known."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False  # who it left the lock to is none of those that set clocks
    except PermissionError:
        pass
    try:
        said = Path(f'/proc/{pid}/status').read_text(encoding='utf-8', errors='replace')
    except OSError:
        return True
    numbers = {line.partition(':')[0]: line.split()[1:] for line in said.splitlines()}
    uid = int(numbers['Uid'][1])  # effective: proc(5)
    gids = {int(gid) for gid in (numbers['Gid'][1], *numbers['Groups'])}
    if uid in (0, file.st_uid):
        return True
    return bool(file.st_mode & (stat.S_IWGRP if file.st_gid in gids else stat.S_IWOTH))
