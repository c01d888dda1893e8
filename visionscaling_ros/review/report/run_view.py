"""A run with all that the report tells of it."""

from __future__ import annotations

from dataclasses import dataclass

from visionscaling_ros.review.recorded_run import RecordedRun
from visionscaling_ros.review.report.regret import optimal_costs
from visionscaling_ros.review.report.run_series import RunSeries, Series
from visionscaling_ros.review.report.side_records import SideRecords


@dataclass(frozen=True)
class RunView:
    """What every part of a section is made from.

    :param series: its slots over time.
    :param side: frames, GPU and link in its time.
    :param optimum: least cost of every slot, shape (T,).
    :param no_optimum: why it is not known, in words; empty where it is.
    """

    series: RunSeries
    side: SideRecords
    optimum: Series
    no_optimum: str = ''

    @property
    def modelled(self) -> bool:
        """True where the power is that of the power model: no meter measured it."""
        sources = {reading.power_source for reading in self.side.gpu}
        return sources == {'model'}

    @property
    def metered(self) -> bool:
        """True where no power is that of the power model, as far as is known."""
        sources = {reading.power_source for reading in self.side.gpu}
        return bool(sources) and not sources & {'model', ''}

    @classmethod
    def of(cls, run: RecordedRun, side: SideRecords) -> RunView:
        """View of a run."""
        return cls(RunSeries(run), side.during(run), *optimal_costs(run))
