"""The policies used so far, so that what one learned is still there when it is used again."""

from __future__ import annotations

from visionscaling_ros.control.policy import Policy, make_policy
from visionscaling_ros.control.settings import ControlSettings


class PolicyPool:
    """One policy of each name used; the current one decides and learns.

    :raises InvalidValueError: there is no policy of that name.
    """

    def __init__(self, name: str, settings: ControlSettings) -> None:
        self._policies: dict[str, Policy] = {}
        self.use(name, settings)

    def use(self, name: str, settings: ControlSettings) -> None:
        """Make the policy of that name, as it was left, the current one, with these settings."""
        policy = self._policies.get(name)
        if policy is None:
            policy = self._policies[name] = make_policy(name, settings)
        policy.settings = settings
        self.current = policy
