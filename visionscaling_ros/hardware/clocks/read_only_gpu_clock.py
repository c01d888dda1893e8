"""A clock that is there and told, but that this process has no way to set."""

from __future__ import annotations

from collections.abc import Mapping

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock, level_for
from visionscaling_ros.hardware.clocks.wrapped_gpu_clock import WrappedGpuClock


class ReadOnlyGpuClock(WrappedGpuClock):
    """``inner`` without its levels: its frequency is known, setting it is refused.

    Undoing what an earlier process left is still tried, so that a state kept on disk is dropped
    only once it really was restored.

    :param why: why it may not be set and what to do about that.
    """

    def __init__(self, inner: GpuClock, why: str) -> None:
        super().__init__(inner)
        self._why = why

    @property
    def available_frequencies_hz(self) -> tuple[float, ...]:
        """No levels: it cannot be set."""
        return ()

    def set_frequency(self, frequency_hz: float) -> float:
        """Raise: InvalidValueError for a bad frequency, else HardwareError with what to do."""
        level_for((frequency_hz,), frequency_hz)
        raise HardwareError(f'{self.device} is not set: {self._why}')

    def access(self) -> str:
        """Why it may not be set and what to do about that."""
        return self._why

    def state(self) -> dict[str, str]:
        """The device's."""
        return self.inner.state()

    def restore(self, state: Mapping[str, str]) -> None:
        """Bring a state back if this process may after all; raises HardwareError."""
        self.inner.restore(state)

    def release(self) -> None:
        """Leave the device to its governor if this process may after all; raises HardwareError."""
        self.inner.release()
