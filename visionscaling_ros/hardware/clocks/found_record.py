"""The state a clock was found in, kept on disk for as long as it is set."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.atomic_file import remove_durably, write_atomically
from visionscaling_ros.hardware.state_folder import state_folders

# another one after each start of the machine: Documentation/admin-guide/sysctl/kernel.rst
BOOT_ID_FILE = Path('/proc/sys/kernel/random/boot_id')
MAX_BYTES = 1 << 16  # of a record


@dataclass(frozen=True)
class FoundRecord:
    """What a file of a state found says.

    :param backend: name of the clock, as ``device`` is its device.
    :param state: as ``GpuClock.state`` gave it.
    :param boot_id: the start of the machine it was found after; empty if that was not known.
    """

    backend: str
    device: str
    state: dict[str, str]
    boot_id: str

    @property
    def of_earlier_boot(self) -> bool:
        """Whether the machine was started again since, as far as is known."""
        now = boot_id()
        return bool(now and self.boot_id and now != self.boot_id)


def record_files(folder: Path) -> list[Path]:
    """The files of records in a folder; none where it is not there."""
    return sorted(folder.glob('*.found'))


def records_elsewhere(path: Path) -> list[str]:
    """Other users' files, and the helper's, of the same name, with their owners' numbers.

    They are told, not obeyed: what is in them may be anything.
    """
    found = []
    for folder in state_folders():
        other = folder / path.name
        try:
            status = other.lstat()
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) and not (path.exists() and other.samefile(path)):
            found.append(f'{other} of user {status.st_uid}')
    return found


def boot_id() -> str:
    """What tells this start of the machine from others; empty where the kernel does not."""
    try:
        return BOOT_ID_FILE.read_text(encoding='ascii').strip()
    except (OSError, ValueError):
        return ''


def keep_record(path: Path, record: FoundRecord) -> None:
    """Bring a record to disk; raises HardwareError when that fails."""
    try:
        write_atomically(path, json.dumps(asdict(record)), durable=True)
    except OSError as error:
        raise HardwareError(
            f'{path} cannot be written: {error.strerror}; {record.device} is not set, because it '
            'could not be restored after a crash'
        ) from error


def read_record(path: Path) -> FoundRecord | None:
    """The record in a file; None when it is damaged.

    Raises FileNotFoundError when there is none, HardwareError when it cannot be read or somebody
    else may have written it.
    """
    try:
        content = json.loads(_text(path))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise HardwareError(f'{path} cannot be read: {error.strerror}') from error
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    state = content.get('state')
    texts = [content.get(name) for name in ('backend', 'device', 'boot_id')]
    if not isinstance(state, dict) or not all(isinstance(text, str) for text in texts):
        return None
    if not all(isinstance(value, str) for value in state.values()):
        return None
    backend, device, boot = texts
    return FoundRecord(str(backend), str(device), state, str(boot))


def remove_record(path: Path) -> None:
    """Remove a record for good; raises HardwareError when that fails."""
    try:
        remove_durably(path)
    except OSError as error:
        raise HardwareError(
            f'{path} cannot be removed: {error.strerror}; what it describes was restored'
        ) from error


def _text(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, 'rb') as file:
        status = os.fstat(descriptor)
        mine = stat.S_ISREG(status.st_mode) and status.st_uid in (0, os.geteuid())
        if not mine or stat.S_IMODE(status.st_mode) & 0o022:
            raise HardwareError(
                f'{path} may have been written by somebody else: it is not obeyed; remove it, or '
                'run visionscaling clocks restore as the user that it belongs to'
            )
        return file.read(MAX_BYTES).decode('utf-8', errors='replace')
