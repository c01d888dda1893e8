"""A command that runs as a user who may write nothing of anybody else's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence

from visionscaling_ros.graph.tied_command import tied_command

NOBODY = 65534  # uid and gid of "nobody" on Linux
SET_PRIVILEGES = 'setpriv'  # util-linux


def why_not() -> str:
    """Why no such command can be run here; empty: it can."""
    if os.getuid() != 0:
        return 'only root can start a process as another user'
    if shutil.which(SET_PRIVILEGES) is None:
        return f'there is no {SET_PRIVILEGES} (util-linux) here'
    return ''


def unprivileged_command(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """``command`` as nobody, tied to this process; it may read everything, as sources may lie in
    root's own folder, and write only what everybody may.

    The kernel unties a process that changes its user (prctl(2), PR_SET_PDEATHSIG), so that it has
    to be tied again after that.
    """
    user = (f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups')
    reading = ('--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search')
    return [SET_PRIVILEGES, *user, *reading, *tied_command(command, environment)]
