"""DMS: feedback control of the network's size under a latency target."""

from __future__ import annotations

import math
from bisect import bisect_right

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.policies.choice import ChoiceCache, Choices, arrivals_fps
from visionscaling_ros.control.policies.ondemand_clock import UP_THRESHOLD, OndemandClock
from visionscaling_ros.control.policies.rates import Rate, decide_rates
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Origin, SlotDecision, SlotState

_KP = 0.2  # of the whole pruning ratio, for an error as large as the whole network's latency
_KI = 0.4


class DmsPolicy:
    """Dynamic model scaling: a PI controller prunes as much as the latency target asks for.

    [V] (abstract of IEEE Access 7:168048, 2019): the size of one network is scaled at run time,
    by a feedback controller, so that applications meet their latency.
    [P] (mechanism as generally known): the pruning ratio follows
    ``u_k = u_{k-1} + Kp (e_k - e_{k-1}) + Ki e_k``, u in [0, u_max], e the latency's distance from
    its target; a resource manager sets the targets.
    [R] Ours: the ladder of widths is that of the configurations that meet the accuracy target and
    are faster than all more accurate ones, so u_max is where the last of them is; a ratio between
    two is met by sharing the frames between them, since filters can be pruned nearly continuously.
    e is counted in latencies of the whole network at the clock in use, positive if too slow, which
    makes the loop's gain 1 on any device. The resource manager's part: the target is at most the
    time in which the next frame arrives, times the governor's upper threshold. The clock, of which
    the paper says nothing, is the operating system's (:class:`OndemandClock`), which takes less
    energy than full clock. Everything runs on the robot.
    """

    name = 'dms'

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
        self._cache = ChoiceCache()
        self._clock = OndemandClock()
        self._choices: Choices | None = None
        self._ladder: list[int] = []  # configurations, the most accurate first
        self._ratios: list[float] = []  # pruning ratio of each
        self._pruned = 0.0  # u
        self._error = 0.0

    @property
    def pruning_ratio(self) -> float:
        """u: share of the whole network's latency to do without."""
        return self._pruned

    def decide(self, forecast: Forecast) -> SlotDecision:
        """All frames in the two configurations around the pruning ratio."""
        choices = self._cache.get(forecast, self.settings)
        if choices is not self._choices:
            self._choices = choices
            self._climb(choices)
        rates = self._rates(arrivals_fps(forecast))
        level = self._clock.level(choices.levels_hz)
        return decide_rates(choices, forecast, self.settings, self.name, rates, level=level)

    def observe(self, state: SlotState) -> None:
        """Move the pruning ratio by how far the measured latency is from its target."""
        self._clock.observe(state)
        latency_s, frequency_hz = state.latency_local_mean_s, state.gpu_frequency_hz
        if not (self._ladder and 0.0 < latency_s < math.inf and 0.0 < frequency_hz < math.inf):
            return
        assert self._choices is not None
        target_s = self.settings.latency_target_s
        if 0.0 < state.arrival_fps < math.inf:
            target_s = min(target_s, UP_THRESHOLD / state.arrival_fps)
        whole_s = self._choices.points[self._ladder[0]].local_latency_s(frequency_hz)
        error = min(max((latency_s - target_s) / whole_s, -1.0), 1.0)
        moved = self._pruned + _KP * (error - self._error) + _KI * error
        self._error = error
        self._pruned = min(max(moved, 0.0), self._ratios[-1])

    def _climb(self, choices: Choices) -> None:
        """The ladder of widths; the ratio stays where it was, as far as the ladder goes."""
        self._ladder, self._ratios = [], []
        fastest_s = math.inf
        for k in choices.meeting:
            latency_s = choices.local_s[k][-1]
            if latency_s < fastest_s:
                fastest_s = latency_s
                self._ladder.append(k)
                self._ratios.append(1.0 - latency_s / choices.local_s[self._ladder[0]][-1])
        self._pruned = min(self._pruned, self._ratios[-1]) if self._ratios else 0.0

    def _rates(self, arrival_fps: float) -> tuple[Rate, ...]:
        if not self._ladder:
            return ()
        upper = bisect_right(self._ratios, self._pruned) - 1
        if upper == len(self._ladder) - 1:
            return ((self._ladder[upper], Origin.LOCAL, arrival_fps),)
        below, above = self._ratios[upper], self._ratios[upper + 1]
        smaller_fps = arrival_fps * (self._pruned - below) / (above - below)
        return (
            (self._ladder[upper], Origin.LOCAL, arrival_fps - smaller_fps),
            (self._ladder[upper + 1], Origin.LOCAL, smaller_fps),
        )
