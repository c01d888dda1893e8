"""A clock that clients set through the helper, one at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.clockd.session import Session
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard

RETRY_S = 1.0


class ServedDevice:
    """A guarded clock with the session it is set for.

    :param log: told, in words, what an administrator should know.
    """

    def __init__(self, guard: ClockGuard, log: Callable[[str], None]) -> None:
        self.guard = guard
        self.holder: Session | None = None
        self.retry_s = math.inf  # when to try again to restore it (monotonic clock)
        self._log = log

    @property
    def key(self) -> tuple[str, str]:
        """What clients name it by: backend and device."""
        return self.guard.clock.name, self.guard.clock.device

    def describe(self) -> dict[str, object]:
        """What clients may know about it."""
        backend, device = self.key
        return {
            'backend': backend,
            'device': device,
            'holder': str(self.holder.peer) if self.holder else '',
        }

    def set_frequency(self, session: Session, frequency_hz: float) -> float:
        """Set one of the device's levels for a session, which then holds the device.

        Raises InvalidValueError for anything but a level, HardwareError when another session
        holds the device or it cannot be set.
        """
        clock = self.guard.clock
        if self.holder is not None and self.holder is not session:
            raise HardwareError(f'{clock.device} is already set by {self.holder.peer}')
        level_hz = next((hz for hz in clock.available_frequencies_hz if hz == frequency_hz), None)
        if level_hz is None:
            levels = ', '.join(f'{hz:.0f}' for hz in clock.available_frequencies_hz)
            raise InvalidValueError('frequency_hz', frequency_hz, f'one of {levels or "no levels"}')
        self.holder = session
        self.retry_s = math.inf
        return self.guard.set_frequency(level_hz)

    def release(self, now_s: float) -> bool:
        """Restore it, whoever had set it; True if it had been set.

        Raises HardwareError when that fails; it is tried again then.
        """
        self.holder = None
        self.retry_s = now_s + RETRY_S
        undone = self.guard.restore_leftover()
        undone = self.guard.release() or undone
        self.retry_s = math.inf
        return undone

    def give_back(self, now_s: float, why: str) -> None:
        """As ``release`` where nobody waits for the outcome: it is logged."""
        device = self.guard.clock.device
        try:
            if self.release(now_s):
                self._log(f'{device} is restored: {why}')
        except HardwareError as error:
            self._log(f'{device} is not restored yet ({why}): {error}')
