"""Leaves a GPU clock as it was found, whatever happens to the process that sets it."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.atomic_file import remove_durably, remove_unfinished
from visionscaling_ros.hardware.clocks.device_lock import DeviceLock
from visionscaling_ros.hardware.clocks.found_record import (
    FoundRecord,
    boot_id,
    keep_record,
    read_record,
    records_elsewhere,
    remove_record,
)
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock, level_for
from visionscaling_ros.hardware.clocks.owner_lock import OwnerLock
from visionscaling_ros.hardware.closing import ClosedAtExit


class ClockGuard(ClosedAtExit):
    """Sets a clock for one owner at a time and can always undo it. Safe from several threads.

    The state found is on disk before the first write and removed after it was restored, so that a
    file that is there without an owner means a killed process: ``restore_leftover`` undoes what
    it left, and so does the first ``set_frequency``. Ownership is two locks, which the kernel drops
    with the process: of the state file, among this user's processes, from the first call that
    needs it; of the device, among all, while it is set. A clock that ``restores_itself`` needs
    neither.

    :param clock: what is guarded.
    :param state_file: where the state found is kept; its lock lies beside it.
    :param log: told, in words, what was undone in another way than by restoring the state found.
    """

    def __init__(
        self, clock: GpuClock, state_file: Path, log: Callable[[str], None] = lambda words: None
    ) -> None:
        self.clock = clock
        self.writes = 0  # levels written; identical sets that were skipped do not count
        self._state_file = state_file
        self._log = log
        self._lock = OwnerLock(state_file.with_name(f'{state_file.name}.lock'), clock.device)
        self._device_lock = DeviceLock(clock.lock_paths(), clock.device)
        self._mutex = threading.RLock()
        self._found: FoundRecord | None = None  # while the clock is, or may be, set by us
        self._set_hz: float | None = None  # what it was last set to, where it does not tell
        self._told_hz: tuple[float, float] | None = None  # the range that it was found held in

    @property
    def engaged(self) -> bool:
        """Whether the clock is, or may be, set by this guard."""
        return self._found is not None

    @property
    def has_leftover(self) -> bool:
        """Whether a killed process left it set, or a living one that owns it has set it."""
        return self._found is None and os.path.lexists(self._state_file)

    def own(self) -> None:
        """Own the state file; raises OwnedError naming the owner if there is another."""
        with self._mutex:
            if self.clock.restores_itself or self._lock.held:
                return
            self._lock.take()
            try:
                remove_unfinished(self._state_file)
            except OSError as error:
                self._log(f'{self._state_file.parent} cannot be tidied up: {error.strerror}')

    def restore_leftover(self) -> bool:
        """Undo what a killed owner left; True if there was something.

        Raises OwnedError naming the process that sets the device if there is another, and
        HardwareError. A clock without levels, of which nothing was left, is not owned.
        """
        with self._mutex:
            if self.clock.restores_itself or self._found is not None:
                return False
            if not (self.has_leftover or self.clock.available_frequencies_hz):
                return False
            self.own()
            with self._device_lock:
                return self._undo_leftover()

    def set_frequency(self, frequency_hz: float) -> float:
        """As GpuClock.set_frequency, skipped when the device is held at that level already.

        The state found caps the level. What a killed owner left is undone first. Raises
        HardwareError too when that fails, another process owns the clock, or the state found
        cannot be kept: then nothing is written.
        """
        with self._mutex:
            levels_hz = self.clock.available_frequencies_hz
            level_hz = level_for(levels_hz, frequency_hz)
            cap_hz = self._engage()
            if level_hz > cap_hz:
                level_hz = max((hz for hz in levels_hz if hz <= cap_hz), default=levels_hz[0])
            if self._set_hz == level_hz and self.clock.limits_hz() in (None, (level_hz, level_hz)):
                return level_hz
            self._set_hz = None
            self.writes += 1
            self._set_hz = self.clock.set_frequency(level_hz)
            return self._set_hz

    def keep_alive(self) -> None:
        """As GpuClock.keep_alive, while the clock is set; after an error the next set is written.

        Raises HardwareError.
        """
        with self._mutex:
            if self._found is None:
                return
            try:
                self.clock.keep_alive()
            except HardwareError:
                self._set_hz = None
                raise

    def release(self) -> bool:
        """Restore the state found; True if the clock had been set. Raises HardwareError."""
        with self._mutex:
            if self._found is None:
                return False
            self._set_hz = None
            if self.clock.restores_itself:
                self.clock.release()
            else:
                self._restore(self._found)
                remove_record(self._state_file)
            self._found = None
            self._device_lock.drop()
            return True

    def close(self) -> None:
        """Restore the state found and give up ownership. Raises HardwareError."""
        with self._mutex:
            try:
                self.release()
            finally:
                self._device_lock.drop()
                self._lock.drop()

    def _engage(self) -> float:
        """Make sure that what is about to be changed can be undone, even by somebody else.

        Returns the highest level that may be set [Hz].
        """
        if self.clock.restores_itself:
            self._found = self._found or FoundRecord(self.clock.name, self.clock.device, {}, '')
            return math.inf  # who restores it caps it
        self.own()
        if self._found is None:
            self._device_lock.take()
            try:
                self._undo_leftover()  # what is read next must not be what a killed owner set
                self._found = self._find()
            finally:
                if self._found is None:
                    self._device_lock.drop()
        elif not os.path.lexists(self._state_file):  # a cleaner of old files took it
            keep_record(self._state_file, self._found)
        return self.clock.cap_hz(self._found.state)

    def _find(self) -> FoundRecord:
        """Keep the state that it is in; nothing is kept of one that could not be restored."""
        hot = self.clock.held_by_heat()
        if hot:
            raise HardwareError(f'{self.clock.device} is not set: {hot}')
        found = FoundRecord(self.clock.name, self.clock.device, self.clock.state(), boot_id())
        self.clock.cap_hz(found.state)
        self._tell_if_held()
        try:
            keep_record(self._state_file, found)
        except HardwareError:
            with contextlib.suppress(OSError):
                remove_durably(self._state_file)
            raise
        return found

    def _tell_if_held(self) -> None:
        """Say that somebody holds it at one level: that is kept to, and restored at the end."""
        limits_hz = self.clock.limits_hz()
        if limits_hz is None or limits_hz[0] != limits_hz[1] or limits_hz == self._told_hz:
            return
        self._told_hz = limits_hz
        kept = ', '.join(records_elsewhere(self._state_file))
        self._log(
            f'{self.clock.device} was found held at {limits_hz[0] * 1e-6:g} MHz, by jetson_clocks, '
            'another program or a process that was killed: nothing above that is set, and that is '
            'what will be restored'
            + (f'; who left {kept} can undo it: visionscaling clocks restore' if kept else '')
        )

    def _undo_leftover(self) -> bool:
        try:
            record = read_record(self._state_file)
        except FileNotFoundError:
            return False
        device = self.clock.device
        if record is None:
            self.clock.release()
            self._log(f'{self._state_file} was damaged: {device} is left to its own governor')
        elif (record.backend, record.device) != (self.clock.name, device):
            raise HardwareError(
                f'{self._state_file} holds the state of {record.device}, not of {device}, which '
                'is left alone: run visionscaling clocks restore'
            )
        elif record.of_earlier_boot and not self.clock.outlives_reboot:
            remove_record(self._state_file)
            self._log(
                f'{device} had been set before the machine was started again, which reset it: '
                f'{self._state_file} is dropped'
            )
            return False
        else:
            self._restore(record)
        remove_record(self._state_file)
        return True

    def _restore(self, record: FoundRecord) -> None:
        try:
            self.clock.restore(record.state)
        except HardwareError as error:
            if not (self._is_held() or self._is_refused(record)):
                raise  # most of it is restored: heat may hold the range narrower than it was
            self.clock.release()  # better its own governor than a level nobody watches
            self._log(
                f'{self.clock.device} is left to its own governor, because the state it was found '
                f'in could not be restored: {error}'
            )

    def _is_held(self) -> bool:
        """Whether it is at one level still, as far as is known, and not by heat."""
        try:
            limits_hz = self.clock.limits_hz()
        except HardwareError:
            return True
        if limits_hz is None:
            return True
        return limits_hz[0] == limits_hz[1] and not self.clock.held_by_heat()

    def _is_refused(self, record: FoundRecord) -> bool:
        """Whether it is no state of this device, of which nothing was written."""
        try:
            self.clock.cap_hz(record.state)
            return not self.clock.state().keys() <= record.state.keys()
        except HardwareError:
            return True
