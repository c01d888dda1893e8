"""The helper as a process of its own, on a file tree."""

from __future__ import annotations

import time
from pathlib import Path

from visionscaling_ros.errors import HardwareError, VisionScalingError
from visionscaling_ros.graph.supervised_process import SupervisedProcess
from visionscaling_ros.hardware.clockd.helper_link import HelperLink, HelperRefusedError
from visionscaling_ros.installed import program_command

START_TIMEOUT_S = 60.0
POLL_S = 0.02


def helper_socket(folder: Path) -> Path:
    """Where the helper of a folder listens."""
    return folder / 'socket'


def helper_command(root: Path, folder: Path, user: int) -> list[str]:
    """Command of a helper that serves the tree ``root`` to ``user``, its state in ``folder``."""
    options = {
        '--root': root,
        '--socket': helper_socket(folder),
        '--state-folder': folder / 'helper',
        '--allow-user': user,
    }
    arguments = (str(part) for option in options.items() for part in option)
    return [*program_command('visionscaling-clockd'), *arguments]


def wait_for_helper(process: SupervisedProcess, folder: Path) -> None:
    """Until it answers; raises VisionScalingError, with what it said, when it does not."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not _answers(helper_socket(folder)):
        if not process.is_running or time.monotonic() > deadline_s:
            said = '\n'.join(process.lines[-20:])
            raise VisionScalingError(f'the helper does not come up; it said: {said}')
        time.sleep(POLL_S)


def _answers(socket: Path) -> bool:
    link = HelperLink(socket)
    try:
        link.ask(op='hello')
    except HelperRefusedError:
        return True
    except HardwareError:
        return False
    finally:
        link.close()
    return True
