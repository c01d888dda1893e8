"""What goes between the simulation and a policy in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.policy import Policy
from visionscaling_ros.datatypes import Origin, SlotDecision, SlotState
from visionscaling_ros.simulation.wrapped_policy import WrappedPolicy


class WatchedPolicy(WrappedPolicy):
    """A policy that decides as ``inner`` does, and keeps the slots that it decided.

    :ivar states: as the inner policy observed them.
    :ivar offloads: whether it ever decided to send frames to the edge.
    :param scale: factors on what is simulated, by name of the field in ``SlotState``.
    """

    def __init__(self, inner: Policy, scale: Mapping[str, float]) -> None:
        super().__init__(inner)
        self.states: list[SlotState] = []
        self.offloads = False
        self._scale = scale
        self._decided = False

    def decide(self, forecast: Forecast) -> SlotDecision:
        """What the inner policy decides."""
        self._decided = True
        decision = self._inner.decide(forecast)
        self.offloads |= offloads(decision)
        return decision

    def observe(self, state: SlotState) -> None:
        """Pass it on, scaled, and keep it if it was decided."""
        state = scaled(state, self._scale)
        self._inner.observe(state)
        if self._decided:
            self.states.append(state)


def scaled(state: SlotState, scale: Mapping[str, float]) -> SlotState:
    """A state with some of its figures multiplied, by name."""
    if not scale:
        return state
    changes: dict[str, Any] = {name: by * getattr(state, name) for name, by in scale.items()}
    return dataclasses.replace(state, **changes)


def offloads(decision: SlotDecision) -> bool:
    """Whether any frame is to be sent to the edge."""
    return any(a.origin is not Origin.LOCAL for a in decision.allocations)
