"""Leaves a GPU clock as it was found, whatever happens to the process that sets it."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import IO

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.atomic_file import remove_durably, write_atomically
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock, level_for


class ClockGuard:
    """Sets a clock for one owner at a time and can always undo it.

    The state found is on disk before the first write and removed after it was restored, so that a
    file that is there without an owner means a killed process: ``restore_leftover`` undoes what
    it left. Ownership is a file lock, which the kernel drops with the process.

    :param clock: what is guarded.
    :param state_file: where the state found is kept; its lock lies beside it.
    """

    def __init__(self, clock: GpuClock, state_file: Path) -> None:
        self.clock = clock
        self._state_file = state_file
        self._lock_path = state_file.with_name(f'{state_file.name}.lock')
        self._lock_file: IO[str] | None = None
        self._mutex = threading.Lock()
        self.writes = 0

    def __enter__(self) -> ClockGuard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def own(self) -> None:
        """Become the owner; raises HardwareError naming the owner if there is another."""
        if self._lock_file is not None:
            return
        try:
            self._lock_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock_file = self._lock_path.open('a+', encoding='utf-8')
        except OSError as error:
            raise HardwareError(f'{self._lock_path} cannot be made: {error.strerror}') from error
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock_file.seek(0)
            owner = lock_file.read().strip() or 'unknown'
            lock_file.close()
            raise HardwareError(
                f'{self.clock.device} is already set by process {owner}: only one may; '
                'this one leaves it alone'
            ) from error
        lock_file.truncate(0)
        lock_file.write(f'{os.getpid()}\n')
        lock_file.flush()
        self._lock_file = lock_file

    def restore_leftover(self) -> bool:
        """Undo what a killed owner left; True if there was something. Raises HardwareError."""
        with self._mutex:
            self.own()
            return self._restore()

    def set_frequency(self, frequency_hz: float) -> float:
        """As GpuClock.set_frequency, skipped when the device is at that level already.

        Raises HardwareError too when another process owns the clock or the state found cannot be
        kept: then nothing is written.
        """
        with self._mutex:
            self.own()
            level_hz = level_for(self.clock.available_frequencies_hz, frequency_hz)
            if self._state_file.exists() and self.clock.frequency_hz() == level_hz:
                return level_hz
            self._keep_state_found()
            self.writes += 1
            return self.clock.set_frequency(level_hz)

    def release(self) -> bool:
        """Restore the state found; True if the clock had been set. Raises HardwareError."""
        with self._mutex:
            return self._lock_file is not None and self._restore()

    def close(self) -> None:
        """Restore the state found and give up ownership. Raises HardwareError."""
        try:
            self.release()
        finally:
            if self._lock_file is not None:
                self._lock_file.close()
                self._lock_file = None

    def _keep_state_found(self) -> None:
        if self._state_file.exists():  # never overwrite the original state
            return
        record = {'device': self.clock.device, 'state': self.clock.state()}
        try:
            write_atomically(self._state_file, json.dumps(record), durable=True)
        except OSError as error:
            raise HardwareError(
                f'{self._state_file} cannot be written: {error.strerror}; {self.clock.device} '
                'is not set, because it could not be restored after a crash'
            ) from error

    def _restore(self) -> bool:
        try:
            text = self._state_file.read_text(encoding='utf-8', errors='replace')
        except FileNotFoundError:
            return False
        except OSError as error:
            raise HardwareError(f'{self._state_file} cannot be read: {error.strerror}') from error
        state = self._state_in(text)
        if state is None:
            self.clock.release()
        else:
            self.clock.restore(state)
        try:
            remove_durably(self._state_file)
        except OSError as error:
            raise HardwareError(
                f'{self._state_file} cannot be removed: {error.strerror}; '
                f'{self.clock.device} was restored'
            ) from error
        return True

    def _state_in(self, text: str) -> dict[str, str] | None:
        """The state in a state file's text; None when the text is damaged."""
        try:
            record = json.loads(text)
            device, state = record['device'], record['state']
        except (ValueError, KeyError, TypeError):
            return None
        if device != self.clock.device:
            raise HardwareError(
                f'{self._state_file} holds the state of {device}, not of {self.clock.device}'
            )
        return state if isinstance(state, dict) else None
