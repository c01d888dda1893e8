"""Everything at the edge server."""

from __future__ import annotations

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.policies.choice import ChoiceCache, Choices, Link, arrivals_fps
from visionscaling_ros.control.policies.rates import decide_rates
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import Origin, SlotDecision, SlotState

_SAME = 1.0 - 1e-9


class EdgeOnlyPolicy:
    """A thin client [R]: as many frames as uplink and server carry, the GPU at its lowest clock.

    As many as they carry by the best estimate, not by a cautious one: what comes back is run
    locally by the dispatcher, what is held back is lost.
    In the configuration that meets the accuracy target and gets most frames through; of those
    that get as many through, the one with the smallest upload. Where the server cannot be
    reached, or must not be used, nothing is processed.
    """

    name = 'edge_only'

    def __init__(self, settings: ControlSettings) -> None:
        self.settings = settings
        self._cache = ChoiceCache()

    def decide(self, forecast: Forecast) -> SlotDecision:
        """What of the arriving frames the edge can take."""
        settings = self.settings
        choices = self._cache.get(forecast, settings)
        link = choices.link(forecast, settings)
        chosen, rate_fps = _most_frames(choices, link, arrivals_fps(forecast))
        rates = ((chosen, Origin.EDGE, rate_fps),)
        return decide_rates(
            choices, forecast, settings, self.name, rates, level=0, link=link
        )

    def observe(self, state: SlotState) -> None:
        """Nothing is learned but what the forecast tells."""


def _most_frames(choices: Choices, link: Link, arrival_fps: float) -> tuple[int, float]:
    """Configuration and frames/s."""
    chosen, most_fps, fewest_bits = 0, 0.0, 0.0
    for k in choices.meeting:
        bits = choices.points[k].upload_bits
        rate_fps = min(arrival_fps, choices.edge_limit_fps(k, link))
        as_many = rate_fps >= most_fps * _SAME and bits < fewest_bits
        if rate_fps * _SAME > most_fps or as_many:
            chosen, most_fps, fewest_bits = k, rate_fps, bits
    return chosen, most_fps
