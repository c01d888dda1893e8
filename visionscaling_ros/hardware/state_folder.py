"""Where the states that clocks were found in are kept while they are set."""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from visionscaling_ros.errors import HardwareError

NAME = 'visionscaling_ros'
PLACE = 'VISIONSCALING_STATE_HOME'  # environment: another place for all users' folders
HELPERS_FOLDER = Path('/var/lib/visionscaling-clockd')
MOST_FOLDERS = 64  # looked into: anybody can make some


def state_folder() -> Path:
    """``/run/visionscaling_ros`` of root, ``/var/tmp/visionscaling_ros-UID`` of a user.

    One for each user, whatever session, home and environment his processes have, so that each
    finds what another left. Logging out removes neither; on this machine, not on a shared home:
    it describes this machine's devices.
    """
    place, uid = os.environ.get(PLACE, ''), os.geteuid()
    if not place and uid == 0:
        return Path('/run') / NAME
    return _users_folders() / f'{NAME}-{uid}'


def state_folders() -> Iterator[Path]:
    """The folders of all users that are there, and the helper's; their content may be anything."""
    pattern = re.compile(rf'{NAME}-\d+')
    try:
        names = sorted(filter(pattern.fullmatch, os.listdir(_users_folders())))
    except OSError:
        names = []
    yield from (_users_folders() / name for name in itertools.islice(names, MOST_FOLDERS))
    if not os.environ.get(PLACE, ''):
        yield from (Path('/run') / NAME, HELPERS_FOLDER)


def check_folder_is_ours(folder: Path) -> None:
    """Raise HardwareError if another user than root made or can change what is in a folder.

    A folder all may write to is none of them where only owners remove their files (sticky).
    """
    try:
        made, status = folder.lstat(), folder.stat()
    except OSError as error:
        raise HardwareError(f'{folder} cannot be used: {error.strerror}') from error
    mine = {0, os.geteuid()}
    shared = 0 if status.st_mode & stat.S_ISVTX else stat.S_IWOTH
    if not status.st_mode & stat.S_ISVTX and status.st_gid != os.getegid():
        shared |= stat.S_IWGRP
    if made.st_uid not in mine or status.st_uid not in mine or status.st_mode & shared:
        raise HardwareError(
            f'{folder} belongs to user {made.st_uid}, or others can change it, so that nothing in '
            f'it is obeyed or kept: have root remove it, or set {PLACE} to a folder of your own'
        )


def _users_folders() -> Path:
    return Path(os.environ.get(PLACE, '') or '/var/tmp').absolute()
