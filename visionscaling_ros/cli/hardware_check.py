"""``visionscaling hardware --check``."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from visionscaling_ros.cli.hardware_tables import check_heading, check_line
from visionscaling_ros.errors import HardwareError
from visionscaling_ros.graph.stop_signals import stop_signals_handled
from visionscaling_ros.hardware.clock_check import LevelCheck, check_clock
from visionscaling_ros.hardware.clockd.helper_link import HelperLink
from visionscaling_ros.hardware.clocks.choice import open_clock
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.state_file import state_file_of

HOLD_S = 0.2


def run_check(
    files: DeviceFiles, backend: str, device: str, helper_socket: str, console: Console
) -> tuple[int, list[dict[str, Any]]]:
    """Set each level of the chosen clock for a moment; exit status and what became of each.

    A stop signal ends it early, after the clock was restored. Raises HardwareError when there is
    no clock to set, another process sets it, heat holds it, or it is not as it was found
    afterwards.
    """
    choice = open_clock(backend, files=files, device=device, helper_socket=helper_socket)
    clock = choice.clock
    refused = clock.access()
    if refused or not clock.available_frequencies_hz:
        raise HardwareError(f'nothing to check: {refused or choice.why}')
    _refuse_if_held(clock, helper_socket)
    levels = len(clock.available_frequencies_hz)
    _say(
        console,
        f'Check: each of the {levels} levels of {clock.device} is set for {HOLD_S:g} s, then '
        'all is left as it was found',
    )
    _say(console, check_heading())
    guard = ClockGuard(clock, state_file_of(clock, files.root))
    with signals_held() as came:
        checks = check_clock(
            guard,
            hold_s=HOLD_S,
            on_level=lambda check: _say(console, check_line(check)),
            go_on=lambda: not came,
        )
        _say(console, f'{_outcome(checks, levels)}; all is as it was found')
    failed = any(check.trouble for check in checks)
    return int(failed or len(checks) < levels), [_plain(check) for check in checks]


def _outcome(checks: Sequence[LevelCheck], levels: int) -> str:
    capped = [check for check in checks if check.capped]
    done = sum(not check.trouble for check in checks) - len(capped)
    words = f'{done} of {levels} levels set'
    if capped:
        cap = f'{1e-6 * capped[-1].read_back_hz:g} MHz'
        words += f", {len(capped)} above the power mode's {cap}"
    return words


@contextlib.contextmanager
def signals_held() -> Iterator[list[int]]:
    """The signals that came meanwhile; they take effect at the end."""
    came: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        came.append(number)

    try:
        with stop_signals_handled(hold):
            yield came
    finally:
        if came:
            signal.raise_signal(came[0])


def _refuse_if_held(clock: GpuClock, helper_socket: str) -> None:
    """Raise HardwareError when the helper sets it for somebody, perhaps of another user."""
    if not helper_socket:
        return
    link = HelperLink(Path(helper_socket))
    try:
        served: Any = link.ask(op='devices').get('devices', ())
    except HardwareError:
        return  # none runs, or none for this user
    finally:
        link.close()
    for device in served:
        named = (device.get('backend'), device.get('device'))
        if named == (clock.name, clock.device) and device.get('holder'):
            raise HardwareError(
                f'{clock.device} is already set by {device["holder"]} through the helper: only '
                'one may; this one leaves it alone'
            )


def _say(console: Console, words: str) -> None:
    console.print(words, markup=False, highlight=False, soft_wrap=True)


def _plain(check: LevelCheck) -> dict[str, Any]:
    return {**asdict(check), 'capped': check.capped}
