"""AutoScale: tabular Q-learning over execution targets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.policies.autoscale_actions import Actions
from visionscaling_ros.control.policies.choice import ChoiceCache, Choices, Link, arrivals_fps
from visionscaling_ros.control.policies.corunner import CoRunner
from visionscaling_ros.control.policies.q_table import QTable
from visionscaling_ros.control.policies.rates import Rate, decide_rates, with_exploration
from visionscaling_ros.control.projections import Vector
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Origin, SlotDecision, SlotState

LEARNING_RATE = 0.9
DISCOUNT = 0.1
EPSILON = 0.1
_PENALTY = 100.0
_LATENCY_WEIGHT = 0.1
_ACCURACY_WEIGHT = 0.1
_IN_USE = (0.05, 0.25, 0.75)  # borders of the paper's levels of use: none, 25, 75, 100 %


class AutoscalePolicy:
    """Q-learning that picks where and how to run the network.

    [V] (abstract of AutoScale, MICRO 2020, arXiv 2005.02544): reinforcement learning selects the
    most energy-efficient execution target, aware of interference and signal strength, under a
    latency and an accuracy requirement.
    [P] (details as generally known): a table; rate 0.9, discount 0.1, epsilon 0.1; states from
    signal strength and co-runners' use in levels 0, 25, 75, 100 %; actions: execution targets with
    their clocks; the reward of :func:`reward`.
    [R] Ours: the link's level is what it carries of the arrivals (unreachable, less than half, less
    than all, all) in place of the signal strength; co-runners are those at the robot
    (:class:`CoRunner`) and at the server; the arrivals in quarters of the full rate are part of the
    state, the network, of which there is one, is not. An action is a place, a clock and a
    configuration. Energy is all the robot's, per processed frame, in J, latency in s, accuracy as a
    share: the units in which the reward's parts matter in their order.
    Two things make it stronger than told: a new state starts from what the profile expects of the
    actions (the paper hands over tables of other devices), and an action is legal only if it meets
    the accuracy target and carries nearly as many frames as the best, so that exploring costs
    little. Of an uplink not known, single frames are sent to learn it, since there is no signal
    strength to see.
    """

    name = 'autoscale'

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
        self._cache = ChoiceCache()
        self._rng = np.random.default_rng(settings.seed)
        self._table = QTable()
        self._co_runner = CoRunner()
        self._choices: Choices | None = None
        self._actions = Actions.none()
        self._taken: tuple[Vector, int] | None = None  # row and action to be rewarded
        self._reward: float | None = None

    def decide(self, forecast: Forecast) -> SlotDecision:
        """Reward the last action, then take the best one known, or now and then another."""
        settings = self.settings
        choices = self._cache.get(forecast, settings)
        if choices is not self._choices:
            self._choices, self._actions = choices, Actions.of(choices, settings)
            if self._actions.keys != self._table.actions:
                self._taken = None
                self._table.use_actions(self._actions.keys)
        actions = self._actions
        arrival_fps = arrivals_fps(forecast)
        if not actions.keys or arrival_fps <= 0.0:
            self._taken = None
            return decide_rates(choices, forecast, settings, self.name, (), level=0)
        link = choices.link(forecast, settings)
        carried_fps = actions.carried_fps(arrival_fps, link)
        legal = actions.legal(carried_fps)
        row = self._table.row(
            self._state(choices, link, arrival_fps),
            lambda: self._expected_rewards(choices, carried_fps, link),
        )
        best = int(np.where(legal, row, -np.inf).argmax())
        self._learn(float(row[best]))
        action = best
        if self._rng.random() < EPSILON:
            among = np.flatnonzero(legal)
            action = int(among[self._rng.integers(len(among))])
        self._taken, self._reward = (row, action), None
        k, level = actions.configuration[action], actions.level[action]
        if actions.at_edge[action]:
            rates: tuple[Rate, ...] = ((k, Origin.EDGE, arrival_fps),)
        else:
            rates = with_exploration(choices, link, k, arrival_fps)
        return decide_rates(choices, forecast, settings, self.name, rates, level=level, link=link)

    def observe(self, state: SlotState) -> None:
        """What the action taken came to; nothing is learned from a slot that ran something else."""
        self._co_runner.observe(state)
        choices, self._reward = self._choices, None
        if self._taken is None or choices is None or not 0.0 < state.arrival_fps < math.inf:
            return
        action = self._taken[1]
        k, at_edge = self._actions.configuration[action], self._actions.at_edge[action]
        point = choices.points[k]
        kinds = {(a.model, a.input_size_px) for a in state.processed}
        if kinds and (point.model, point.input_size_px) not in kinds:
            return
        processed_fps = state.processed_local_fps + state.processed_edge_fps
        if not (0.0 <= processed_fps < math.inf and 0.0 <= state.power_w < math.inf):
            return
        known = math.isfinite(state.achieved_map)
        self._reward = reward(
            energy_j=state.power_w / processed_fps if processed_fps > 0.0 else math.inf,
            latency_s=state.latency_edge_mean_s if at_edge else state.latency_local_mean_s,
            accuracy_map=state.achieved_map if known else point.accuracy_map,
            latency_target_s=self.settings.latency_target_s,
            accuracy_target_map=choices.target_map,
        )

    def save_state(self) -> dict[str, Any]:
        """What was learned, fit for JSON."""
        return self._table.save()

    def load_state(self, document: dict[str, Any]) -> None:
        """Go on with what was learned before; actions that do not exist here are forgotten.

        :raises InvalidValueError: naming what in the document is wrong; nothing has changed then.
        """
        self._table = QTable.load(document)
        self._choices = self._taken = None

    def _learn(self, best_next: float) -> None:
        """``Q += rate (reward + discount max Q' - Q)``."""
        if self._taken is None or self._reward is None:
            return
        row, action = self._taken
        row[action] += LEARNING_RATE * (self._reward + DISCOUNT * best_next - row[action])

    def _state(self, choices: Choices, link: Link, arrival_fps: float) -> str:
        """Levels of link, co-runners at the robot and at the server, and arrivals."""
        k = choices.fewest_bits
        part = choices.edge_limit_fps(k, link) / arrival_fps if k is not None else 0.0
        link_level = 0 if part <= 0.0 else 1 if part < 0.5 else 2 if part < 1.0 else 3
        server_level = _use_level(1.0 - link.server_share) if link_level else 0
        arrival_level = min(int(4.0 * arrival_fps / self.settings.full_rate_fps), 3)
        return f'{link_level}{_use_level(self._co_runner.use)}{server_level}{arrival_level}'

    def _expected_rewards(self, choices: Choices, carried_fps: Vector, link: Link) -> Vector:
        actions = self._actions
        power_w, latency_s = actions.expected(carried_fps, link)
        return np.array([
            reward(
                energy_j=float(power) / fps if fps > 0.0 else math.inf,
                latency_s=float(latency),
                accuracy_map=choices.points[k].accuracy_map,
                latency_target_s=self.settings.latency_target_s,
                accuracy_target_map=choices.target_map,
            )
            for k, fps, power, latency in zip(
                actions.configuration, carried_fps.tolist(), power_w, latency_s, strict=True
            )
        ])  # fmt: skip


def reward(
    *,
    energy_j: float,
    latency_s: float,
    accuracy_map: float,
    latency_target_s: float,
    accuracy_target_map: float,
) -> float:
    """AutoScale's reward [P], at least -100 [-].

    ``accuracy - 100`` below the accuracy target; else ``-E + 0.1 latency + 0.1 accuracy`` within
    the latency target, ``-E + 0.1 accuracy`` beyond it or where the latency is not known.
    """
    if accuracy_map < accuracy_target_map:
        return accuracy_map - _PENALTY
    value = -energy_j + _ACCURACY_WEIGHT * accuracy_map
    if latency_s <= latency_target_s:
        value += _LATENCY_WEIGHT * latency_s
    return max(value, -_PENALTY)


def _use_level(use: float) -> int:
    return sum(use > border for border in _IN_USE)
