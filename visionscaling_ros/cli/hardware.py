"""``visionscaling hardware``: what of this machine can be set and measured, and does it work."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

HELP = 'show clocks, power meters and temperatures of this machine, and who may set them'
SHOWN = ('auto', 'jetson', 'nvml', 'cpufreq', 'none')
EMULATED = ' (emulated is a file: there is nothing of it to look at, and it works anywhere)'
STATUS = (
    'exit status: 0 if a clock can be set or power be measured here, 1 if not; with --check 0 if '
    'every level could be set and all is as it was found, else 1; 2 for a wrong argument or a '
    'clock that another process sets'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = STATUS
    add = parser.add_argument
    add('--backend', default='auto', help=f'clock to choose: {", ".join(SHOWN)}')
    add('--device', default='', help='which one, where there are several (the first)')
    add('--root', type=Path, default=Path('/'), metavar='DIR', help='a file tree that stands for '
        'a machine (this machine)')  # fmt: skip
    add('--helper-socket', metavar='FILE', help="the helper's socket (its own; none with --root)")
    add('--json', default='', metavar='FILE', help='write what was found there; - for the output')
    add(
        '--check',
        action='store_true',
        help='set each level of the chosen clock for a moment, then restore it; a card that others '
        'use too is slowed down for them meanwhile',
    )


def run(arguments: argparse.Namespace) -> int:
    """Look, tell, and check if asked to; see STATUS."""
    from visionscaling_ros.cli.hardware_check import run_check  # noqa: PLC0415
    from visionscaling_ros.cli.hardware_inventory import take_inventory  # noqa: PLC0415
    from visionscaling_ros.cli.hardware_tables import print_inventory  # noqa: PLC0415
    from visionscaling_ros.errors import InvalidValueError  # noqa: PLC0415
    from visionscaling_ros.hardware.clocks.choice import HELPER_SOCKET  # noqa: PLC0415
    from visionscaling_ros.hardware.device_files import DeviceFiles  # noqa: PLC0415

    if arguments.backend not in SHOWN:
        raise InvalidValueError('--backend', arguments.backend, ', '.join(SHOWN) + EMULATED)
    if not arguments.root.is_dir():
        raise InvalidValueError('--root', str(arguments.root), 'a folder')
    files = DeviceFiles(arguments.root.resolve())
    socket = arguments.helper_socket
    if socket is None:
        socket = HELPER_SOCKET if files.root == Path('/') else ''
    inventory = take_inventory(
        files, backend=arguments.backend, device=arguments.device, helper_socket=socket
    )
    console = Console(stderr=arguments.json == '-')
    print_inventory(inventory, console)
    document: dict[str, Any] = asdict(inventory)
    status = 0 if inventory.usable else 1
    if arguments.check:
        status, document['check'] = run_check(
            files, arguments.backend, arguments.device, socket, console
        )
    if arguments.json:
        _write(arguments.json, document)
    return status


def _write(path: str, document: dict[str, Any]) -> None:
    from visionscaling_ros.json_file import json_text, write_json  # noqa: PLC0415

    if path == '-':
        print(json_text(document))
        return
    write_json(Path(path), document)
    print(path)
