"""The largest model under the clock governor of the operating system."""

from __future__ import annotations

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.policies.choice import ChoiceCache, arrivals_fps
from visionscaling_ros.control.policies.ondemand_clock import OndemandClock
from visionscaling_ros.control.policies.rates import decide_rates
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Origin, SlotDecision, SlotState


class GovernorPolicy:
    """What a robot does whose maker chose a model and left the clock to Linux.

    The largest model that meets the accuracy target, as ``fixed`` chooses it, on the robot, under
    :class:`OndemandClock`. All frames that arrive are handed to it: a governor must see the load.
    """

    name = 'governor'

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
        self._cache = ChoiceCache()
        self._clock = OndemandClock()

    def decide(self, forecast: Forecast) -> SlotDecision:
        """All frames in one configuration, the clock by last slot's load."""
        choices = self._cache.get(forecast, self.settings)
        chosen = choices.most_accurate
        rates = () if chosen is None else ((chosen, Origin.LOCAL, arrivals_fps(forecast)),)
        level = self._clock.level(choices.levels_hz)
        return decide_rates(choices, forecast, self.settings, self.name, rates, level=level)

    def observe(self, state: SlotState) -> None:
        """The governor looks at the load."""
        self._clock.observe(state)
