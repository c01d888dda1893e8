"""The helper's socket, and the folders it may trust."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.clockd.peer import AllowedPeers

BACKLOG = 64


def open_listener(path: Path, allowed: AllowedPeers) -> socket.socket:
    """Listen at ``path``; what a killed helper left there is replaced.

    Only root and one group can connect where that is all who may (mode 0660); else everybody can
    (0666), and who may not is turned away by his credentials. Raises HardwareError, and
    InvalidValueError for a folder that others may write.
    """
    check_folder('--socket', path.parent)
    group_only = len(allowed.gids) == 1 and not allowed.uids
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        if stat.S_ISSOCK(_mode_of(path)):
            path.unlink()
        before = os.umask(0o777)  # until it has its group
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        if group_only and path.stat().st_gid not in allowed.gids:
            os.chown(path, -1, next(iter(allowed.gids)))
        path.chmod(0o660 if group_only or not allowed.uids | allowed.gids else 0o666)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise HardwareError(f'--socket: {path} cannot be made: {error.strerror}') from error
    return listener


def check_folder(option: str, folder: Path) -> None:
    """Make a folder unless it is there; raises InvalidValueError if others may write to it."""
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise HardwareError(f'{option}: {folder} cannot be made: {error.strerror}') from error
    if status.st_uid not in (0, os.geteuid()) or stat.S_IMODE(status.st_mode) & 0o022:
        raise InvalidValueError(
            option, str(folder), 'a folder that only root, or who runs the helper, may write to'
        )


def _mode_of(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return 0
