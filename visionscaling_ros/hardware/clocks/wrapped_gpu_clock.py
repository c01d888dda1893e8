"""A clock that is read as another is."""

from __future__ import annotations

from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock


class WrappedGpuClock(GpuClock):
    """Base of clocks that tell what ``inner`` tells, and are set in another way.

    :param inner: the clock itself, as this process sees it.
    """

    def __init__(self, inner: GpuClock) -> None:
        self.inner = inner
        self.name = inner.name
        self.device = inner.device
        self.outlives_reboot = inner.outlives_reboot

    @property
    def slowdown(self) -> float:
        """The device's."""
        return self.inner.slowdown

    def limits_hz(self) -> tuple[float, float] | None:
        """The device's."""
        return self.inner.limits_hz()

    def frequency_hz(self) -> float:
        """The device's."""
        return self.inner.frequency_hz()

    def held_by_heat(self) -> str:
        """The device's."""
        return self.inner.held_by_heat()
