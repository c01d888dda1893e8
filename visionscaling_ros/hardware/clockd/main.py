"""``visionscaling-clockd``: the program."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from visionscaling_ros.errors import HardwareError, InvalidValueError, VisionScalingError
from visionscaling_ros.hardware.atomic_file import make_folder
from visionscaling_ros.hardware.clockd.desk import Desk
from visionscaling_ros.hardware.clockd.found_devices import FoundDevice, find_devices, settable
from visionscaling_ros.hardware.clockd.listener import check_folder, open_listener
from visionscaling_ros.hardware.clockd.peer import AllowedPeers, group_number, user_number
from visionscaling_ros.hardware.clockd.protocol import SOCKET_PATH
from visionscaling_ros.hardware.clockd.sd_notify import notify
from visionscaling_ros.hardware.clockd.served_device import ServedDevice
from visionscaling_ros.hardware.clockd.server import ClockServer
from visionscaling_ros.hardware.clockd.stop_switch import StopSwitch
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.found_record import record_files
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.state_file import state_file_of
from visionscaling_ros.hardware.state_folder import HELPERS_FOLDER, check_folder_is_ours

TIMEOUT_S = 3.0
LOOK_AGAIN_S = 10.0
NO_DEVICE = 69  # exit status EX_UNAVAILABLE of sysexits.h


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT, everything restored at the end; returns the exit status.

    :param argv: for example ``['--root', TREE, '--socket', FILE, '--state-folder', DIR,
        '--allow-user', 'me', '--timeout-s', '3']``; the arguments of the process if None.
    """
    arguments = _parser().parse_args(argv)
    stop = StopSwitch()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.throw())
    try:
        if arguments.list:
            return _list(_find(arguments))
        if not 0.1 <= arguments.timeout_s <= 60.0:
            raise InvalidValueError('--timeout-s', arguments.timeout_s, '0.1 to 60 s')
        check_folder('--state-folder', arguments.state_folder)
        found = _find(arguments)
        if not (found or arguments.restore):
            return _without_devices(stop)
        with contextlib.ExitStack() as guards:
            served = [_served(device, arguments, guards) for device in found]
            for device in served:
                device.give_back(time.monotonic(), 'a process that was killed had left it set')
            if arguments.restore:
                failed = any(device.retry_s < math.inf for device in served)
                return int(failed or _kept_for_others(arguments, found))
            _kept_for_others(arguments, found)
            if not stop.thrown:
                _serve(served, arguments, stop)
    except VisionScalingError as error:
        _log(str(error))
        return 1
    return 0


def _serve(served: Sequence[ServedDevice], arguments: argparse.Namespace, stop: StopSwitch) -> None:
    allowed = AllowedPeers(
        frozenset(map(user_number, arguments.allow_user)),
        frozenset(map(group_number, arguments.allow_group)),
    )
    timeout_s = arguments.timeout_s
    with open_listener(arguments.socket, allowed) as listener:
        server = ClockServer(
            listener, Desk(served, timeout_s), allowed, timeout_s=timeout_s, stop=stop, log=_log
        )
        names = ', '.join(device.guard.clock.device for device in served)
        _log(f'serves {names} at {arguments.socket}')
        notify(f'READY=1\nSTATUS=serves {names}')
        server.run()
    notify('STOPPING=1')


def _served(
    device: FoundDevice, arguments: argparse.Namespace, guards: contextlib.ExitStack
) -> ServedDevice:
    direct = state_file_of(device.clock, arguments.root)
    state_file = arguments.state_folder / direct.name
    guard = guards.enter_context(ClockGuard(device.clock, state_file, _log))
    guard.own()
    try:
        make_folder(direct.parent)
        check_folder_is_ours(direct.parent)
    except (OSError, HardwareError) as error:
        _log(f'what processes leave that set {device.clock.device} themselves is not seen: {error}')
        return ServedDevice(guard, _log)
    return ServedDevice(guard, _log, guards.enter_context(ClockGuard(device.clock, direct, _log)))


def _kept_for_others(arguments: argparse.Namespace, found: Sequence[FoundDevice]) -> bool:
    """Tell of records of devices that are not there; whether there are any."""
    here = {state_file_of(device.clock, arguments.root).name for device in found}
    kept = [path for path in record_files(arguments.state_folder) if path.name not in here]
    for path in kept:
        _log(f'{path} is kept: the device that it is for is not there')
    return bool(kept)


def _without_devices(stop: StopSwitch) -> int:
    # not looked for again in here: under systemd only a new process may write what is new
    said = f'no device to set is there: ends in {LOOK_AGAIN_S:g} s, to be started again'
    _log(said)
    notify(f'READY=1\nSTATUS={said}')
    return 0 if stop.wait(LOOK_AGAIN_S) else NO_DEVICE


def _find(arguments: argparse.Namespace) -> list[FoundDevice]:
    files = DeviceFiles(arguments.root)
    found = find_devices(files, cpufreq=arguments.cpufreq, nvml=arguments.nvml, log=_log)
    return settable(found, _log)


def _list(found: Sequence[FoundDevice]) -> int:
    for device in found:
        print(f'{device.clock.name} {device.clock.device}')
        for path in device.writes:
            print(f'  {path}')
    return 0 if found else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='visionscaling-clockd', description="Sets GPUs' clocks for users who may not."
    )
    add = parser.add_argument
    add('--socket', type=Path, default=SOCKET_PATH, metavar='FILE', help='(%(default)s)')
    add(
        '--state-folder',
        type=Path,
        default=Path(os.environ.get('STATE_DIRECTORY', '').partition(':')[0] or HELPERS_FOLDER),
        metavar='DIR',
        help='where the states found are kept while devices are set (%(default)s)',
    )
    add(
        '--allow-user', action='append', default=[], metavar='USER', help='who may; root always may'
    )
    add('--allow-group', action='append', default=[], metavar='GROUP', help='whose members may')
    add(
        '--timeout-s',
        type=float,
        default=TIMEOUT_S,
        metavar='S',
        help='a client that sends nothing for this long loses what it holds (%(default)s)',
    )
    add('--cpufreq', action='store_true', help="serve the CPU's clock too")
    add('--nvml', action='store_true', help="serve NVIDIA cards' locked clocks too")
    add(
        '--root', type=Path, default=Path('/'), metavar='DIR', help='a tree instead of this machine'
    )
    add('--list', action='store_true', help='print all that may ever be written, and end')
    add('--restore', action='store_true', help='undo what a killed helper left, and end')
    return parser


def _log(words: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads it any more: no reason to end
        print(f'visionscaling-clockd: {words}', file=sys.stderr, flush=True)


if __name__ == '__main__':
    sys.exit(main())
