"""A GPU clock that is read directly and set by the helper."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clockd.helper_link import START, HelperLink, HelperRefusedError
from visionscaling_ros.hardware.clockd.protocol import SOCKET_PATH
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock, level_for
from visionscaling_ros.hardware.clocks.wrapped_gpu_clock import WrappedGpuClock

HELPER_LEVEL = 'helper_level_hz'  # in a state: what the helper had set for us then


class ClockdGpuClock(WrappedGpuClock):
    """``inner`` for a process that may read but not write it.

    The helper sets one client's levels at a time and undoes them when the client releases the
    clock, ends, is killed, or says nothing for the helper's time limit: a client that keeps the
    same level says ``keep_alive`` at least once a second. It may be used from several threads.

    :param socket_path: the helper's socket.
    """

    restores_itself = True

    def __init__(self, inner: GpuClock, socket_path: Path = SOCKET_PATH) -> None:
        super().__init__(inner)
        self._link = HelperLink(socket_path)
        self._mutex = threading.Lock()
        self._set_hz: float | None = None  # what the helper holds for this connection

    @property
    def available_frequencies_hz(self) -> tuple[float, ...]:
        """The device's levels."""
        return self.inner.available_frequencies_hz

    def access(self) -> str:
        """Why the helper does not set this clock for this process; empty where it does."""
        with self._mutex:
            try:
                served = self._link.ask(op='devices')['devices']
                names = [(device['backend'], device['device']) for device in served]
            except HardwareError as error:
                return str(error)
            except (KeyError, TypeError):
                return f'the helper at {self._link.socket_path} speaks another protocol: {START}'
            finally:
                if self._set_hz is None:
                    self._link.close()
        if (self.name, self.device) in names:
            return ''
        return (
            f'the helper at {self._link.socket_path} did not find {self.device} when it started '
            f'(it sets {", ".join(str(name) for _, name in names) or "nothing"}): {START}'
        )

    def set_frequency(self, frequency_hz: float) -> float:
        """Have the helper set the level; a connection that broke is opened again once."""
        level_hz = level_for(self.available_frequencies_hz, frequency_hz)
        with self._mutex:
            return self._set(level_hz)

    def keep_alive(self) -> None:
        """Keep the helper from undoing what it set for this process; else do nothing."""
        with self._mutex:
            if self._set_hz is None:
                return
            try:
                self._link.ask(op='keep_alive')
            except HardwareError:
                self._set_hz = None
                raise

    def state(self) -> dict[str, str]:
        """The device's, and what the helper had set in it for this process, if anything."""
        with self._mutex:
            held = {} if self._set_hz is None else {HELPER_LEVEL: repr(self._set_hz)}
        return {**self.inner.state(), **held}

    def cap_hz(self, state: Mapping[str, str]) -> float:
        """The device's, which the helper keeps to."""
        return self.inner.cap_hz(state)

    def restore(self, state: Mapping[str, str]) -> None:
        """Bring back a state: the one the helper found, or a level it had set.

        Raises HardwareError for any other: the helper takes no values but levels.
        """
        level = state.get(HELPER_LEVEL)
        if level is not None:
            self.set_frequency(float(level))
            return
        self.release()
        if self.inner.state() != dict(state):
            raise HardwareError(
                f'{self.device}: the helper restored the state that it had found, which is not '
                f'{dict(state)}; it sets no other'
            )

    def release(self) -> None:
        """Have the helper restore the state that it found, and end the connection."""
        with self._mutex:
            set_hz, self._set_hz = self._set_hz, None
            if not self._link.connected:
                return
            try:
                self._link.ask(op='release', backend=self.name, device=self.device)
            except HelperRefusedError:
                raise
            except HardwareError:
                self._check_helper_restored(set_hz)
            finally:
                self._link.close()

    def _check_helper_restored(self, set_hz: float | None) -> None:
        # A helper that ends restores the clock, one that was killed when it is started again,
        # before it answers anybody.
        if self.inner.limits_hz() not in (None, (set_hz, set_hz)):
            return
        try:
            self._link.ask(op='hello')
        except HardwareError as error:
            raise HardwareError(
                f'{self.device} may still be set: {error}; the helper restores it when it starts'
            ) from error

    def _set(self, level_hz: float) -> float:
        request = {'backend': self.name, 'device': self.device, 'frequency_hz': level_hz}
        was_connected, self._set_hz = self._link.connected, None
        try:
            reply = self._link.ask(op='set', **request)
        except HelperRefusedError:
            raise
        except HardwareError:
            if not was_connected:
                raise
            reply = self._link.ask(op='set', **request)
        set_hz = reply.get('frequency_hz')  # below level_hz where the state found caps it
        if set_hz not in self.available_frequencies_hz:
            raise HardwareError(f'the helper set {set_hz}, not {level_hz:g} Hz')
        self._set_hz = float(set_hz)
        return self._set_hz
