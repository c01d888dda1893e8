"""The policies used so far, so that what one learned is still there when it is used again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from visionscaling_ros.control.policy import Policy, make_policy
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.errors import InvalidValueError


@runtime_checkable
class RememberingPolicy(Protocol):
    """A policy whose learning outlasts the run."""

    def save_state(self) -> dict[str, Any]:
        """What was learned, fit for JSON."""

    def load_state(self, document: dict[str, Any]) -> None:
        """Go on with what was learned before; raise InvalidValueError where it makes no sense."""


class PolicyPool:
    """One policy of each name used; the current one decides and learns.

    :raises InvalidValueError: there is no policy of that name.
    """

    def __init__(self, name: str, settings: ControlSettings) -> None:
        self._policies: dict[str, Policy] = {}
        self.use(name, settings)

    def use(self, name: str, settings: ControlSettings) -> None:
        """Make the policy of that name, as it was left, the current one, with these settings.

        :raises InvalidValueError: there is no policy of that name.
        """
        policy = self._policies.get(name)
        if policy is None:
            policy = self._policies[name] = make_policy(name, settings)
        policy.settings = settings
        self.current = policy

    def states(self) -> dict[str, dict[str, Any]]:
        """What the policies that remember have learned, by name, fit for JSON."""
        return {
            name: policy.save_state()
            for name, policy in self._policies.items()
            if isinstance(policy, RememberingPolicy)
        }

    def load(self, states: Mapping[str, Any]) -> None:
        """Go on with what ``states`` gave earlier, also for policies not used yet.

        :raises InvalidValueError: naming what in it is wrong; nothing has changed then.
        """
        settings = self.current.settings
        loaded: dict[str, Policy] = {}
        for name, document in states.items():
            policy = make_policy(name, settings)
            if not isinstance(policy, RememberingPolicy):
                raise InvalidValueError('policy with a state', name, 'one that remembers')
            policy.load_state(document)
            loaded[name] = policy
        self._policies.update(loaded)
        self.current = self._policies[self.current.name]
