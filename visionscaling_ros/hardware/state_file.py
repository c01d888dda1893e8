"""Where the state that a clock was found in is kept while it is set."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.state_folder import state_folder


def state_file_of(clock: GpuClock, root: Path = Path('/')) -> Path:
    """One file for each device of each machine; all processes of this user agree on it.

    Beside the register of an emulated clock, else in the state folder.

    :param root: of the machine's files.
    """
    if clock.name == 'emulated':
        return Path(f'{clock.device}.found')
    device = re.sub(r'[^\w.-]+', '_', clock.device.rpartition('/')[2])
    return state_folder() / f'{clock.name}-{device}{_machine(root)}.found'


def is_of_machine(path: Path, root: Path) -> bool:
    """Whether a file is one of ``state_file_of`` for the machine with that root."""
    machine = re.search(r'-[0-9a-f]{8}$', path.stem)
    return path.name.startswith('emulated') or (machine[0] if machine else '') == _machine(root)


def _machine(root: Path) -> str:
    root = root.resolve()
    return '' if root == Path('/') else f'-{zlib.crc32(str(root).encode()):08x}'
