"""CutEdge with the cuts all local and all remote: virtual queues, closed-form clock and rate."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.policies.choice import ChoiceCache, Choices, Link, arrivals_fps
from visionscaling_ros.control.policies.rates import Rate, decide_rates, with_exploration
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Origin, SlotDecision, SlotState

_THROUGHPUT_SHARE = 0.99  # of the arrivals that is to be processed
_MOST_MISSING = 0.125  # of the backlog that asks for full clock
_ROUNDING = 1.0 - 1e-9


@dataclass(frozen=True)
class _Plan:
    """What a slot was planned to serve, in frames/s; the queues are counted in ``unit_fps``."""

    unit_fps: float
    local_offered_fps: float
    edge_offered_fps: float
    local_fps: float
    edge_fps: float
    arrival_fps: float
    at_edge: bool  # the queue the arriving frames join


class CutEdgePolicy:
    """Lyapunov control of partition point, GPU clock and transmission rate.

    [V] (abstract of IEEE TSC 2024, DOI 10.1109/TSC.2024.3466848): partition point, clock and rate
    are decided together, online, for energy under a throughput constraint.
    [R] Our reconstruction of its drift plus penalty: queues of frames waiting for the device, Qd,
    for the network, Qn, and of missing throughput, Z; in every slot

        minimise  V E(f, r) - (Qd + Z) mu_d(f) - (Qn + Z) mu_n(r) + Q_p A    over p, f, r <= c

    with p the cut the arriving frames A take, ``mu_d = f / kappa``, ``mu_n = r / b``. In closed
    form ``f* = sqrt((Qd + Z) / (3 V alpha kappa))``, rounded up to a level; ``r* = c`` if
    ``(Qn + Z) mu_n(c) > V P_tx(c)``, else 0; and the cuts enumerated: the one with the shorter
    queue. Queues are in frames the robot runs in a slot at full clock, energy in what its GPU takes
    then, so that ``f* / f_max = sqrt((Qd + Z) / 3 V)`` and one V suits any device.

    Also ours: no frame waits for a later slot, so queues are virtual and both servers work on the
    frames of the slot, those of the cut taken first; the throughput asked for is 99 % of the
    arrivals; Qd and Qn are bounded by what asks for full clock, Z by an eighth of that, so that an
    overload is forgotten: without these bounds it does far worse. The network is given: the least
    work of those that meet the accuracy target at the robot, the smallest upload at the server,
    which is more than one network cut in two ways could do.

    :param tradeoff: V, slots of full work; energy nears its least as O(1/V), queues grow as O(V).
    """

    name = 'cutedge'

    def __init__(self, settings: ControlSettings, *, tradeoff: float = 2.0) -> None:
        self.settings = settings
        self._cache = ChoiceCache()
        self._choices: Choices | None = None
        self._least_work: int | None = None
        self._fewest_bits: int | None = None
        self._full = 3.0 * tradeoff  # backlog that asks for full clock
        self._tradeoff = tradeoff
        self._device_queue = self._full  # the safe side, until the arrivals are known
        self._network_queue = 0.0
        self._missing = 0.0
        self._plan: _Plan | None = None

    @property
    def backlog(self) -> float:
        """Frames waiting for device or network, in slots of full work."""
        return self._device_queue + self._network_queue

    def decide(self, forecast: Forecast) -> SlotDecision:
        """Clock and rate in closed form, and the better cut."""
        settings = self.settings
        choices = self._cache.get(forecast, settings)
        if choices is not self._choices:
            self._choices = choices
            self._least_work = min(
                choices.meeting, key=lambda k: choices.local_s[k][-1], default=None
            )
            self._fewest_bits = choices.fewest_bits
        at_robot = self._least_work
        if at_robot is None:
            self._plan = None
            return decide_rates(choices, forecast, settings, self.name, (), level=0)
        link = choices.link(forecast, settings)
        level = self._level(choices)
        unit_fps = 1.0 / choices.local_s[at_robot][-1]
        local_most_fps = 1.0 / choices.local_s[at_robot][level]
        arrival_fps = arrivals_fps(forecast)
        carried_fps = self._carried_fps(choices, link)
        pays = self._radio_pays(choices, carried_fps, arrival_fps, unit_fps)
        edge_most_fps = carried_fps if pays else 0.0
        at_edge = carried_fps > 0.0 and self._network_queue < self._device_queue
        edge_fps = min(edge_most_fps, arrival_fps)
        local_fps = min(local_most_fps, arrival_fps)
        if at_edge:
            local_fps = min(local_fps, arrival_fps - edge_fps)
        else:
            edge_fps = min(edge_fps, arrival_fps - local_fps)
        self._plan = _Plan(
            unit_fps, local_most_fps, edge_most_fps, local_fps, edge_fps, arrival_fps, at_edge
        )
        if edge_fps <= 0.0:
            rates: tuple[Rate, ...] = with_exploration(choices, link, at_robot, local_fps)
        else:
            at_server = self._fewest_bits
            assert at_server is not None
            rates = ((at_robot, Origin.LOCAL, local_fps), (at_server, Origin.EDGE, edge_fps))
        return decide_rates(
            choices, forecast, settings, self.name, rates, level=level, link=link
        )

    def observe(self, state: SlotState) -> None:
        """The queues take what arrived and lose what was served."""
        plan, arrival_fps = self._plan, state.arrival_fps
        figures = (arrival_fps, state.processed_local_fps, state.processed_edge_fps)
        if plan is None or not all(0.0 <= figure < math.inf for figure in figures):
            return
        _, local_fps, edge_fps = figures
        scale = arrival_fps / plan.arrival_fps if plan.arrival_fps > 0.0 else 1.0
        local_short_fps = max(plan.local_fps * scale - local_fps, 0.0)
        edge_short_fps = max(plan.edge_fps * scale - edge_fps, 0.0)
        joins_device, joins_network = (0.0, arrival_fps) if plan.at_edge else (arrival_fps, 0.0)
        self._device_queue = self._after(
            self._device_queue, joins_device, plan.local_offered_fps - local_short_fps
        )
        self._network_queue = self._after(
            self._network_queue, joins_network, plan.edge_offered_fps - edge_short_fps
        )
        wanted_fps = _THROUGHPUT_SHARE * arrival_fps
        self._missing = _bounded(
            self._missing + (wanted_fps - local_fps - edge_fps) / plan.unit_fps,
            _MOST_MISSING * self._full,
        )

    def _after(self, queue: float, joining_fps: float, served_fps: float) -> float:
        """``[Q - mu]^+ + A``, bounded."""
        assert self._plan is not None
        unit_fps = self._plan.unit_fps
        left = max(queue - max(served_fps, 0.0) / unit_fps, 0.0)
        return _bounded(left + joining_fps / unit_fps, self._full)

    def _level(self, choices: Choices) -> int:
        if choices.busy_w[-1] <= 0.0:  # the clock costs nothing that is known
            return choices.top
        asked = (self._device_queue + self._missing) / self._full
        wanted_hz = choices.levels_hz[-1] * math.sqrt(asked)
        return min(bisect_left(choices.levels_hz, wanted_hz * _ROUNDING), choices.top)

    def _carried_fps(self, choices: Choices, link: Link) -> float:
        """Frames/s the network is able to serve; 0 as long as its capacity is not known."""
        k = self._fewest_bits
        if k is None or link.exploration_fps > 0.0:
            return 0.0
        return choices.edge_limit_fps(k, link)

    def _radio_pays(
        self, choices: Choices, carried_fps: float, arrival_fps: float, unit_fps: float
    ) -> bool:
        """``r*`` is all the network carries, not 0; power is for what there is to send."""
        k = self._fewest_bits
        if k is None or carried_fps <= 0.0:
            return False
        sent_bps = min(carried_fps, arrival_fps) * choices.points[k].upload_bits
        radio_w = choices.device.radio_power_w(sent_bps)
        worth = (self._network_queue + self._missing) * carried_fps / unit_fps
        return worth * choices.busy_w[-1] > self._tradeoff * radio_w


def _bounded(queue: float, most: float) -> float:
    return min(max(queue, 0.0), most)
