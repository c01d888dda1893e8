"""Sets the GPU clock off the executor's thread: a slow driver must not hold up callbacks."""

from __future__ import annotations

from collections.abc import Callable

from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.pipeline.newest_worker import NewestWorker

RELEASE_HZ = 0.0
STOP_TIMEOUT_S = 2.0


class ClockWorker(NewestWorker[float]):
    """A thread that carries out the newest wish (a clock [Hz]) and forgets those it overtook.

    RELEASE_HZ leaves the clock to the device.

    :param on_done: called in the thread after each wish.
    """

    def __init__(self, guard: ClockGuard, on_done: Callable[[], None]) -> None:
        super().__init__('gpu clock')
        self._guard = guard
        self._on_done = on_done
        self.trouble = ''  # why the last wish failed; empty when it did not

    def work(self, item: float) -> None:
        """Carry out one wish."""
        try:
            if item == RELEASE_HZ:
                self._guard.release()
            else:
                self._guard.set_frequency(item)
            self.trouble = ''
        except (VisionScalingError, OSError) as error:
            self.trouble = str(error)
        self._on_done()
