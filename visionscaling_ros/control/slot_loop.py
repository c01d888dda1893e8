"""What happens at the end of a slot: learn from it, score it, decide the next."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.evaluation import RunningFit, evaluate_slot
from visionscaling_ros.control.explanation import Explainer
from visionscaling_ros.control.forecast import Forecast, Forecaster
from visionscaling_ros.control.policy_pool import PolicyPool
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import SlotDecision, SlotState


class SlotLoop:
    """Forecaster and policies of one activation of the controller, slot by slot.

    Everything it does follows from what it was made with, the settings it was given and the slots
    it was told, but for ``decision_time_s``; so a recorded run can be decided again, bit for bit.

    :ivar slot: running number of the slot under way.
    :ivar settings_version: running number of the settings in force.
    :param policy: name of the policy that decides.
    :param slot_s: length of a slot [s].
    :param settings_version: number of these first settings.
    :param explained: decisions say why; a third of the time goes into it.
    :raises InvalidValueError: there is no policy of that name.
    """

    def __init__(
        self,
        policy: str,
        settings: ControlSettings,
        *,
        slot_s: float = 1.0,
        settings_version: int = 0,
        explained: bool = True,
    ) -> None:
        self.slot = 0
        self.settings_version = settings_version
        self.policies = PolicyPool(policy, settings)
        self.decision: SlotDecision | None = None
        self._forecaster = Forecaster(settings, slot_s)
        self._fit = RunningFit()
        self._explainer = Explainer() if explained else None

    @property
    def settings(self) -> ControlSettings:
        """Those in force."""
        return self._forecaster.settings

    def load(self, learned: Mapping[str, Any]) -> None:
        """Go on with what policies learned in earlier runs; raises InvalidValueError."""
        self.policies.load(learned)

    def use(self, policy: str, settings: ControlSettings, settings_version: int) -> None:
        """Decide by that policy and these settings from now on; what was learned stays."""
        self.policies.use(policy, settings)
        self._forecaster.settings = settings
        self.settings_version = settings_version

    def end_slot(
        self, state: SlotState, device: DeviceModel, in_force: SlotDecision | None = None
    ) -> tuple[SlotState, SlotDecision | None]:
        """The slot that ended, scored and with the beliefs about the next, and the next decision.

        There is no decision as long as no frame ever came.

        :param in_force: what was to run in the slot, if not what was decided here before.
        """
        self._forecaster.observe(state, in_force or self.decision)
        forecast = self._forecaster.forecast(self.slot + 1, device)
        state = self._scored(state, device)
        self.policies.current.observe(state)
        if self.decision is None and in_force is None and state.arrival_fps <= 0.0:
            return state, None
        self.slot = forecast.slot
        self.decision = self._decide(forecast)
        return state, self.decision

    def _scored(self, state: SlotState, device: DeviceModel) -> SlotState:
        score = evaluate_slot(state, self.settings, device)
        return dataclasses.replace(
            state,
            achieved_map=state.achieved_map if state.map_measured else score.table_map,
            cost=score.cost,
            constraint=score.constraint,
            cumulative_fit=self._fit.add(score.constraint),
            beliefs=self._forecaster.beliefs(),
            settings_version=self.settings_version,
        )

    def _decide(self, forecast: Forecast) -> SlotDecision:
        started_s = time.perf_counter()
        decision = self.policies.current.decide(forecast)
        decision_time_s = time.perf_counter() - started_s
        decision = dataclasses.replace(
            decision, decision_time_s=decision_time_s, settings_version=self.settings_version
        )
        if self._explainer is None:
            return decision
        explanation = self._explainer.explain(decision, forecast, self.settings)
        return dataclasses.replace(decision, explanation=explanation)
