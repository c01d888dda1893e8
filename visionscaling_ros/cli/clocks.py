"""``visionscaling clocks``: set the clock back, and let users set it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.device_files import DeviceFiles

HELP = 'restore clocks that a killed process left set; install what lets users set them'
UDEV_RULES = '60-visionscaling-gpu-clock.rules'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    restore = actions.add_parser('restore', help='undo what a killed process left set')
    _add_root(restore)
    restore.add_argument(
        '--state-file', type=Path, metavar='FILE', help="the one to obey (all of this user's)"
    )
    helper = actions.add_parser('install-helper', help='install visionscaling-clockd; as root')
    _add_root(helper)
    add = helper.add_argument
    add('--print', action='store_true', help='show what would be installed and run, and end')
    add('--prefix', type=Path, metavar='DIR', help='write the files below it and run nothing')
    add('--cpufreq', action='store_true', help="let it set the CPU's clock too")
    add('--nvml', action='store_true', help='let it set NVIDIA cards too, with CAP_SYS_ADMIN')
    add(
        '--python',
        type=Path,
        default=Path('/usr/bin/python3'),
        metavar='FILE',
        help='what runs it; only root may be able to change it (%(default)s)',
    )
    actions.add_parser('udev-rules', help='print the udev rules that do without the helper')


def run(arguments: argparse.Namespace) -> int:
    """Do one of them; 1 if a clock could not be restored."""
    if arguments.action == 'udev-rules':
        print((_templates() / UDEV_RULES).read_text(encoding='utf-8'), end='')
        return 0
    if not arguments.root.is_dir():
        raise InvalidValueError('--root', str(arguments.root), 'a folder')
    files = DeviceFiles(arguments.root.resolve())
    if arguments.action == 'restore':
        return _restore(arguments.state_file, files)
    return _install(arguments, files)


def _add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--root', type=Path, default=Path('/'), metavar='DIR', help='a file tree that stands for '
        'a machine (this machine)',
    )  # fmt: skip


def _restore(state_file: Path | None, files: DeviceFiles) -> int:
    from visionscaling_ros.hardware.clockd.helper_link import START  # noqa: PLC0415
    from visionscaling_ros.hardware.clockd.protocol import SOCKET_PATH  # noqa: PLC0415
    from visionscaling_ros.hardware.clocks.found_record import record_files  # noqa: PLC0415
    from visionscaling_ros.hardware.leftovers import restore_file  # noqa: PLC0415
    from visionscaling_ros.hardware.state_folder import state_folder  # noqa: PLC0415

    paths = [state_file] if state_file else record_files(state_folder())
    failed = False
    for path in paths:
        try:
            for words in restore_file(path, files, any_name=state_file is not None):
                print(words)
        except HardwareError as error:
            failed = True
            print(f'not restored: {error}', file=sys.stderr)
    if not paths:
        print(f'nothing is left set: there is no state of a clock in {state_folder()}')
    if SOCKET_PATH.parent.is_dir():
        print('what visionscaling-clockd had set it restores by itself')
    elif Path('/etc/systemd/system/visionscaling-clockd.service').exists():
        print(f'what visionscaling-clockd had set it restores when it starts: {START}')
    return 1 if failed else 0


def _install(arguments: argparse.Namespace, files: DeviceFiles) -> int:
    from visionscaling_ros.hardware.clockd.found_devices import find_devices  # noqa: PLC0415
    from visionscaling_ros.hardware.clockd.installation import (  # noqa: PLC0415
        PROGRAM,
        is_root,
        plan_installation,
    )

    found = find_devices(
        files,
        cpufreq=arguments.cpufreq,
        nvml=arguments.nvml,
        log=lambda words: print(words, file=sys.stderr),
    )
    if not found:
        raise HardwareError(
            'no clock for the helper to set is on this machine, so nothing is installed; '
            "--nvml is for NVIDIA cards, --cpufreq for the CPU's clock"
        )
    plan = plan_installation(
        _templates(), found, python=arguments.python, cpufreq=arguments.cpufreq
    )
    if arguments.print:
        for name, content in plan.files.items():
            shown = f'({len(content)} bytes)\n' if name == PROGRAM else content.decode()
            print(f'# /{name}\n{shown}')
        print('# then')
        for command in plan.commands:
            print(' '.join(command))
        return 0
    if arguments.prefix is not None:
        plan.write(arguments.prefix)
        print(f'wrote {len(plan.files)} files below {arguments.prefix}')
        return 0
    if not is_root():
        raise HardwareError(
            'installing takes root: sudo "$(command -v visionscaling)" clocks install-helper '
            '(--print shows what that would do)'
        )
    plan.write(Path('/'))
    plan.run_commands()
    print('installed; let a user set clocks with: sudo usermod -aG visionscaling USER')
    return 0


def _templates() -> Path:
    from visionscaling_ros.installed import share_directory  # noqa: PLC0415

    return share_directory() / 'config' / 'system'
