"""One configuration at one clock, whatever happens: what people run today."""

from __future__ import annotations

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.policies.choice import ChoiceCache, Choices, arrivals_fps
from visionscaling_ros.control.policies.rates import decide_rates
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Origin, SlotDecision, SlotState


class FixedPolicy:
    """All frames in one configuration, at a fixed clock.

    Without a model named, or with one this robot lacks: the largest model that meets the accuracy
    target (the configuration of highest accuracy), at full clock, on the robot: the baseline
    everything is compared with. Frames beyond what it carries are the dispatcher's to drop, and
    the uplink is not paced.
    """

    name = 'fixed'

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
        self._cache = ChoiceCache()
        self._choices: Choices | None = None
        self._chosen: int | None = None
        self._level = 0

    def decide(self, forecast: Forecast) -> SlotDecision:
        """The same allocation every slot, at the rate frames arrive."""
        settings = self.settings
        choices = self._cache.get(forecast, settings)
        if choices is not self._choices:
            self._choices = choices
            self._chosen = self._choice(choices)
            self._level = self._clock_level(choices)
        chosen = self._chosen
        arrival_fps = arrivals_fps(forecast) if chosen is not None else 0.0
        at_edge = settings.fixed_origin == 'edge' and settings.allow_edge
        rates = ((chosen or 0, Origin.EDGE if at_edge else Origin.LOCAL, arrival_fps),)
        link = choices.link(forecast, settings) if at_edge else None
        return decide_rates(
            choices, forecast, settings, self.name, rates, level=self._level, link=link, paced=False
        )

    def observe(self, state: SlotState) -> None:
        """Nothing is learned."""

    def _choice(self, choices: Choices) -> int | None:
        settings, points = self.settings, choices.points
        named = [
            k
            for k, p in enumerate(points)
            if settings.fixed_model in ('', p.model)
            and settings.fixed_input_size_px in (0, p.input_size_px)
        ]
        return max(named, key=lambda k: points[k].accuracy_map, default=choices.most_accurate)

    def _clock_level(self, choices: Choices) -> int:
        wanted_hz = self.settings.fixed_frequency_hz
        if wanted_hz <= 0.0:
            return choices.top
        distance_hz = [abs(level_hz - wanted_hz) for level_hz in choices.levels_hz]
        return distance_hz.index(min(distance_hz))
