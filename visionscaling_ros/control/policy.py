"""What a policy is, and the policies there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.policies.autoscale import AutoscalePolicy
from visionscaling_ros.control.policies.cutedge import CutEdgePolicy
from visionscaling_ros.control.policies.dms import DmsPolicy
from visionscaling_ros.control.policies.edge_only import EdgeOnlyPolicy
from visionscaling_ros.control.policies.fixed import FixedPolicy
from visionscaling_ros.control.policies.governor import GovernorPolicy
from visionscaling_ros.control.policies.local_only import LocalOnlyPolicy
from visionscaling_ros.control.policies.meta import MetaPolicy
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


_FACTORIES: dict[str, Callable[[ControlSettings], Policy]] = {
    'visionscaling_meta': MetaPolicy,
    'visionscaling': SaddlePointPolicy,
    'autoscale': AutoscalePolicy,
    'dms': DmsPolicy,
    'cutedge': CutEdgePolicy,
    'fixed': FixedPolicy,
    'local_only': LocalOnlyPolicy,
    'edge_only': EdgeOnlyPolicy,
    'governor': GovernorPolicy,
}
POLICY_NAMES = tuple(_FACTORIES)
DEFAULT_POLICY = 'visionscaling_meta'


def make_policy(name: str, settings: ControlSettings) -> Policy:
    """Policy of that name.

    :raises InvalidValueError: there is none of that name.
    """
    factory = _FACTORIES.get(name)
    if factory is None:
        raise InvalidValueError('policy', name, ', '.join(POLICY_NAMES))
    return factory(settings)
