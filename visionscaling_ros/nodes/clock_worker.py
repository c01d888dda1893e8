"""Sets the GPU clock off the executor's thread: a slow driver must not hold up callbacks."""

from __future__ import annotations

import threading
from collections.abc import Callable

from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.hardware.clock_guard import ClockGuard
from visionscaling_ros.pipeline.newest_slot import NewestSlot

RELEASE_HZ = 0.0
STOP_TIMEOUT_S = 2.0


class ClockWorker:
    """A thread that carries out the newest wish and forgets those it overtook.

    :param on_done: called in the thread after each wish.
    """

    def __init__(self, guard: ClockGuard, on_done: Callable[[], None]) -> None:
        self._guard = guard
        self._on_done = on_done
        self._wishes: NewestSlot[float] = NewestSlot()
        self.trouble = ''  # why the last wish failed; empty when it did not
        self._thread = threading.Thread(target=self._run, name='gpu clock', daemon=True)
        self._thread.start()

    def wish(self, frequency_hz: float) -> None:
        """Ask for a clock [Hz]; RELEASE_HZ leaves it to the device."""
        self._wishes.put(frequency_hz)

    def stop(self) -> None:
        """Wait for the wish under way, drop the rest."""
        self._wishes.close()
        self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        while (frequency_hz := self._wishes.take()) is not None:
            try:
                if frequency_hz == RELEASE_HZ:
                    self._guard.release()
                else:
                    self._guard.set_frequency(frequency_hz)
                self.trouble = ''
            except (VisionScalingError, OSError) as error:
                self.trouble = str(error)
            self._on_done()
