"""What settings are to reach, and what is to be best among those that do."""

from __future__ import annotations

import math
from dataclasses import dataclass

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.review.whatif.figures import METRIC, Figures, Metric

OBJECTIVES = {
    'frames': ('processed_fps', -1.0, 'most processed frames/s'),
    'power': ('power_w', 1.0, 'least mean power'),
    'energy': ('energy_j_per_frame', 1.0, 'least energy of a processed frame'),
}


@dataclass(frozen=True)
class Limit:
    """A bound on a figure.

    :param sign: 1: the figure is to stay below the value; -1: above.
    """

    figure: str
    value: float
    sign: float

    @property
    def words(self) -> str:
        """Such as ``W <= 7``."""
        metric = METRIC[self.figure]
        return f'{metric.long} {"<=" if self.sign > 0.0 else ">="} {self.value * metric.scale:g}'

    def excess(self, figures: Figures, margins: dict[str, float] | None = None) -> float:
        """By how much of the value the bound is missed; at most 0 where it is kept.

        :param margins: what each figure may be off; the bound is to be kept nevertheless.
        """
        figure: float = getattr(figures, self.figure)
        if math.isnan(figure):  # nothing was processed
            return 1.0 if self.sign < 0.0 else -1.0
        margin = margins[self.figure] if margins is not None else 0.0
        missed = self.sign * (figure - self.value) + (0.0 if math.isnan(margin) else margin)
        return missed / self.value


@dataclass(frozen=True)
class Goal:
    """Bounds and what is to be best within them.

    :param objective: of ``OBJECTIVES``.
    :raises InvalidValueError: a bound that makes no sense, or an unknown objective.
    """

    target_map: float
    max_power_w: float | None = None
    max_latency_s: float | None = None
    min_fps: float | None = None
    objective: str = ''

    def __post_init__(self) -> None:
        if not 0.0 < self.target_map <= 1.0:
            raise InvalidValueError('target_map', self.target_map, 'above 0, at most 1')
        for name in ('max_power_w', 'max_latency_s', 'min_fps'):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < math.inf:
                raise InvalidValueError(name, value, 'a number above 0')
        if not self.objective:
            object.__setattr__(self, 'objective', self._usual_objective())
        if self.objective not in OBJECTIVES:
            raise InvalidValueError('objective', self.objective, ', '.join(OBJECTIVES))

    def _usual_objective(self) -> str:
        if self.max_power_w is not None:
            return 'frames'
        return 'energy' if self.min_fps is None else 'power'

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The bounds; latency is the 95th percentile over the frames of both places."""
        given = (
            ('map', self.target_map, -1.0),
            ('power_w', self.max_power_w, 1.0),
            ('latency_p95_s', self.max_latency_s, 1.0),
            ('processed_fps', self.min_fps, -1.0),
        )
        return tuple(Limit(name, value, sign) for name, value, sign in given if value is not None)

    @property
    def figures(self) -> tuple[tuple[str, Metric], ...]:
        """Names of the figures to tell: those bounded, and those that are always of interest."""
        asked = [limit.figure for limit in self.limits]
        names = dict.fromkeys([*asked, 'power_w', 'energy_j_per_frame', 'processed_fps'])
        return tuple((name, METRIC[name]) for name in names)

    @property
    def words(self) -> str:
        """The objective and the bounds, for people."""
        return f'{OBJECTIVES[self.objective][2]} with {", ".join(x.words for x in self.limits)}'

    def score(self, figures: Figures) -> float:
        """What is to be least; infinite where it is not known."""
        name, sign, _ = OBJECTIVES[self.objective]
        value = sign * float(getattr(figures, name))
        return value if math.isfinite(value) else math.inf
