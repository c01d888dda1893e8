"""What a policy is, and the policies there are."""

from __future__ import annotations

from typing import Protocol

from visionscaling_ros.control.policies.fixed import FixedPolicy
from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.policies.saddle_point import SaddlePointPolicy
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import SlotDecision, SlotState
from visionscaling_ros.errors import InvalidValueError


class Policy(Protocol):
    """Decides one slot at a time.

    ``settings`` may be replaced between slots; what was learned stays.
    """

    name: str
    settings: ControlSettings

    def decide(self, forecast: Forecast) -> SlotDecision:
        """Decide what to do in the slot forecast; a defined decision for any forecast."""

    def observe(self, state: SlotState) -> None:
        """Learn from the slot that just ended, decided by this policy or not."""


POLICY_NAMES = ('visionscaling', 'fixed', 'local_only')


def make_policy(name: str, settings: ControlSettings) -> Policy:
    """Policy of that name.

    :raises InvalidValueError: there is none of that name.
    """
    if name == 'visionscaling':
        return SaddlePointPolicy(settings)
    if name == 'local_only':
        return SaddlePointPolicy(settings, name=name, use_edge=False)
    if name == 'fixed':
        return FixedPolicy(settings)
    raise InvalidValueError('policy', name, ', '.join(POLICY_NAMES))
