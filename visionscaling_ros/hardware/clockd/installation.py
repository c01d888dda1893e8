"""What the installed helper consists of: files of root, and commands that make it run."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.atomic_file import write_atomically
from visionscaling_ros.hardware.clockd.found_devices import FoundDevice
from visionscaling_ros.hardware.clockd.helper_package import helper_package

UNIT = 'visionscaling-clockd.service'
DROP_INS = f'etc/systemd/system/{UNIT}.d'
PROGRAM = 'usr/local/lib/visionscaling-clockd/visionscaling-clockd.pyz'
SYSUSERS = 'etc/sysusers.d/visionscaling.conf'
PYTHON = Path('/usr/bin/python3')
MIN_PYTHON = (3, 8)
COMMANDS = (
    ('systemd-sysusers', f'/{SYSUSERS}'),
    ('systemctl', 'daemon-reload'),
    ('systemctl', 'enable', '--now', UNIT),
    ('systemctl', 'restart', UNIT),
)


@dataclass(frozen=True)
class Installation:
    """Files by their paths below ``/``, and commands to run after they were written."""

    files: dict[str, bytes] = field(default_factory=dict)
    commands: tuple[tuple[str, ...], ...] = COMMANDS

    def write(self, prefix: Path) -> None:
        """Write the files below a prefix; raises HardwareError naming the first that fails."""
        for name, content in self.files.items():
            path = prefix / name
            try:
                path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                write_atomically(path, content, durable=True)
                path.chmod(0o644)
            except OSError as error:
                raise HardwareError(
                    f'{path} cannot be written: {error.strerror}; run this as root, with sudo'
                ) from error

    def run_commands(self) -> None:
        """Run the commands; raises HardwareError with what the first that fails says."""
        for command in self.commands:
            try:
                subprocess.run(command, check=True, capture_output=True, text=True)
            except FileNotFoundError as error:
                raise HardwareError(f'{command[0]} is not there: {" ".join(command)}') from error
            except subprocess.CalledProcessError as error:
                raise HardwareError(
                    f'{" ".join(command)} failed: {error.stderr.strip()}'
                ) from error


def plan_installation(
    templates: Path, found: Sequence[FoundDevice], *, python: Path, cpufreq: bool
) -> Installation:
    """What is to be installed to set the devices found.

    :param templates: folder with the unit, its drop-in for NVIDIA cards and the group.
    :param python: what runs the helper; raises InvalidValueError for one others may change.
    """
    check_python(python)
    unit = (templates / UNIT).read_text(encoding='utf-8')
    nvml = any(device.clock.name == 'nvml' for device in found)
    options = [name for name, wanted in (('--cpufreq', cpufreq), ('--nvml', nvml)) if wanted]
    files = {
        PROGRAM: helper_package(),
        f'etc/systemd/system/{UNIT}': unit.replace(f'{PYTHON} ', f'{python} ').encode(),
        f'{DROP_INS}/10-devices.conf': _devices_drop_in(found, options).encode(),
        SYSUSERS: (templates / 'visionscaling.sysusers.conf').read_bytes(),
    }
    if nvml:
        drop_in = templates / 'visionscaling-clockd-nvml.conf'
        files[f'{DROP_INS}/20-nvml.conf'] = drop_in.read_bytes()
    return Installation(files)


def check_python(python: Path) -> None:
    """Raise InvalidValueError unless only root can change it and it is new enough."""
    try:
        for path in _all_on_the_way(python):
            status = path.lstat()
            others_may = not path.is_symlink() and stat.S_IMODE(status.st_mode) & 0o022
            if status.st_uid != 0 or others_may:
                raise InvalidValueError(
                    '--python', str(python), f'one that only root can change; {path} is not'
                )
        code = 'import sys; print(*sys.version_info[:2])'
        answer = subprocess.run(
            [python, '-I', '-S', '-c', code], check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise InvalidValueError('--python', str(python), f'a Python that runs ({error})') from error
    version = tuple(map(int, answer.stdout.split()))
    if version < MIN_PYTHON:
        raise InvalidValueError(
            '--python', str(python), f'Python {MIN_PYTHON[0]}.{MIN_PYTHON[1]} or newer'
        )


def _all_on_the_way(path: Path) -> list[Path]:
    """A file, all folders above it, and the same of each link on the way to it."""
    passed: list[Path] = []
    path = Path(os.path.abspath(path))
    while path not in passed:
        passed += [path, *path.parents]
        if path.is_symlink():
            path = Path(os.path.normpath(path.parent / path.readlink()))
    passed.append(path.resolve(strict=True))
    return [*passed, *path.resolve().parents]


def is_root() -> bool:
    """Whether this process may install."""
    return os.geteuid() == 0


def _devices_drop_in(found: Sequence[FoundDevice], options: Sequence[str]) -> str:
    files = [path for device in found for path in device.writes if path.startswith('/')]
    lines = ['# all that the helper may write in /sys; made by visionscaling clocks install-helper']
    lines += ['[Service]', f'Environment="OPTIONS={" ".join(options)}"']
    lines += [f'ReadWritePaths=-{path}' for path in files]
    return '\n'.join(lines) + '\n'
