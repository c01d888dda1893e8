"""The state a clock was found in, kept on disk for as long as it is set."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.atomic_file import remove_durably, write_atomically

# another one after each start of the machine: Documentation/admin-guide/sysctl/kernel.rst
BOOT_ID_FILE = Path('/proc/sys/kernel/random/boot_id')


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

    Raises FileNotFoundError when there is none, HardwareError when it cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8', errors='replace'))
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
