"""What goes between a simulation and a policy."""

from __future__ import annotations

from visionscaling_ros.control.policy import Policy
from visionscaling_ros.control.settings import ControlSettings


class WrappedPolicy:
    """Base of policies that decide as ``inner`` does: its name and its settings."""

    def __init__(self, inner: Policy) -> None:
        self.name = inner.name
        self._inner = inner

    @property
    def settings(self) -> ControlSettings:
        """The inner policy's."""
        return self._inner.settings

    @settings.setter
    def settings(self, settings: ControlSettings) -> None:
        self._inner.settings = settings
