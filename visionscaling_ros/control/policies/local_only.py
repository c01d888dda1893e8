"""Everything on the robot, as cheaply as one configuration allows."""

from __future__ import annotations

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.policies.choice import ChoiceCache, Choices, arrivals_fps
from visionscaling_ros.control.policies.rates import decide_rates
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Origin, SlotDecision, SlotState

_SLACK = 1.0 + 1e-9


class LocalOnlyPolicy:
    """What a careful engineer sets up without an edge server [R].

    Of the configurations that meet the accuracy target, at the clocks that keep up with the
    arrivals below the utilisation ceiling, the pair of least energy a frame,
    ``alpha f^3 (kappa / f + s)``: each configuration's lowest such clock. If none keeps up, the
    fastest configuration at full clock, and the frames beyond it are the dispatcher's to drop.
    """

    name = 'local_only'

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
        self._cache = ChoiceCache()
        self._choices: Choices | None = None
        self._by_energy: list[tuple[float, int, int]] = []  # most frames/s, configuration, level

    def decide(self, forecast: Forecast) -> SlotDecision:
        """The cheapest configuration and clock that keep up."""
        settings = self.settings
        choices = self._cache.get(forecast, settings)
        if choices is not self._choices:
            self._choices, self._by_energy = choices, _by_energy(choices, settings)
        arrival_fps = arrivals_fps(forecast)
        if not self._by_energy:
            return decide_rates(choices, forecast, settings, self.name, (), level=0)
        for pair in self._by_energy:
            if pair[0] * _SLACK >= arrival_fps:
                break
        else:
            pair = max(self._by_energy)
        _, chosen, level = pair
        rates = ((chosen, Origin.LOCAL, arrival_fps),)
        return decide_rates(choices, forecast, settings, self.name, rates, level=level)

    def observe(self, state: SlotState) -> None:
        """Nothing is learned but what the forecast tells."""


def _by_energy(choices: Choices, settings: ControlSettings) -> list[tuple[float, int, int]]:
    limit = min(settings.utilization_ceiling, settings.max_blocked_arrivals)
    pairs = [(k, level) for k in choices.meeting for level in range(len(choices.levels_hz))]
    pairs.sort(key=lambda p: (choices.busy_w[p[1]] * choices.local_s[p[0]][p[1]], p[1]))
    return [(limit / choices.local_s[k][level], k, level) for k, level in pairs]
