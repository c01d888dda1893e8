"""A clock that clients set through the helper, one at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.clockd.session import Session
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.owner_lock import OwnedError

RETRY_S = 1.0


class ServedDevice:
    """A guarded clock with the session it is set for.

    :param log: told, in words, what an administrator should know.
    :param direct: guards the same clock for processes of this user that set it themselves.
    """

    def __init__(
        self, guard: ClockGuard, log: Callable[[str], None], direct: ClockGuard | None = None
    ) -> None:
        self.guard = guard
        self._direct = direct
        self.holder: Session | None = None
        self.retry_s = math.inf  # when to try again to restore it (monotonic clock)
        self._log = log
        self._trouble = ''  # that was told

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
        try:
            self._own_direct()
            return self.guard.set_frequency(level_hz)
        finally:
            if self.guard.engaged:
                self.holder = session
                self.retry_s = math.inf
            elif self._direct is not None:
                self._direct.close()

    def release(self, now_s: float) -> bool:
        """Restore it, whoever had set it; True if it had been set.

        Raises HardwareError when that fails; it is tried again then.
        """
        self.holder = None
        self.retry_s = now_s + RETRY_S
        undone = self._undo_direct()
        if self.guard.has_leftover:
            undone = self.guard.restore_leftover() or undone
        undone = self.guard.release() or undone
        self.retry_s = math.inf
        if self._direct is not None:
            self._direct.close()
        return undone

    def give_back(self, now_s: float, why: str) -> None:
        """As ``release`` where nobody waits for the outcome: it is logged."""
        device = self.guard.clock.device
        try:
            if self.release(now_s):
                self._log(f'{device} is restored: {why}')
            self._trouble = ''
        except HardwareError as error:
            if str(error) != self._trouble:
                self._log(f'{device} is not restored yet ({why}): {error}')
            self._trouble = str(error)

    def _own_direct(self) -> None:
        """Keep processes that set it themselves from it, until it is released."""
        if self._direct is None or self.guard.engaged:
            return
        if self._direct.restore_leftover():
            self._log(f'{self.key[1]} is restored: a process that was killed had left it set')

    def _undo_direct(self) -> bool:
        """Undo what a process left that set it itself, which was after any helper did."""
        if self._direct is None or not self._direct.has_leftover:
            return False
        try:
            return self._direct.restore_leftover()
        except OwnedError:  # it lives
            return False
