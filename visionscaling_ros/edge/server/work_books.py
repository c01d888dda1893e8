"""Counts what became of requests, by robot and by model."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping
from dataclasses import replace

from visionscaling_ros.edge.server.scheduler_snapshot import WorkCounters

# Robots name themselves where no credentials are asked for: more than this are summed up.
MAX_ROBOTS = 256
OTHERS = '(others)'


class WorkBooks:
    """Not thread-safe."""

    def __init__(self) -> None:
        self._robots: OrderedDict[str, WorkCounters] = OrderedDict()
        self._models: defaultdict[str, WorkCounters] = defaultdict(WorkCounters)
        self._batch_sizes: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._others = WorkCounters()

    def count(self, robot: str, model: str, change: WorkCounters) -> None:
        """Add ``change`` to both."""
        if robot not in self._robots:
            self._robots[robot] = WorkCounters()
        self._robots.move_to_end(robot)
        if len(self._robots) > MAX_ROBOTS:
            _, oldest = self._robots.popitem(last=False)
            self._others.add(oldest)
        self._robots[robot].add(change)
        self._models[model].add(change)

    def batch(self, model: str, size: int) -> None:
        """A batch was computed."""
        self._batch_sizes[model][size] += 1

    def robots(self) -> Mapping[str, WorkCounters]:
        """A copy, by robot."""
        copied = {name: replace(work) for name, work in self._robots.items()}
        if self._others != WorkCounters():
            copied[OTHERS] = replace(self._others)
        return copied

    def models(self) -> Mapping[str, WorkCounters]:
        """A copy, by model."""
        return {name: replace(work) for name, work in self._models.items()}

    def batch_sizes(self) -> Mapping[str, Mapping[int, int]]:
        """A copy, by model and number of requests."""
        return {name: dict(sizes) for name, sizes in self._batch_sizes.items()}
