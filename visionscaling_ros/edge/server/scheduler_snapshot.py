"""What the scheduler holds and what it has done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass
class WorkCounters:
    """Of one robot or one model. They only grow.

    Every request taken ends in one of ``done``, ``failed``, ``dropped`` or ``cancelled``; one that
    is ``refused`` was never taken. ``queue_s`` and ``compute_s`` are sums over ``done`` and
    ``failed``; a batch's time is shared equally among its requests.
    """

    done: int = 0
    failed: int = 0  # the model or the request was at fault
    refused: int = 0  # at once: no time or no place
    dropped: int = 0  # taken, then given up: its deadline passed, or it gave way to another robot
    cancelled: int = 0  # who asked for it has gone
    queue_s: float = 0.0
    compute_s: float = 0.0

    def add(self, other: WorkCounters) -> None:
        """Add another's counts."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


@dataclass(frozen=True)
class SchedulerSnapshot:
    """The scheduler at one moment.

    :param queued: requests that wait, by model.
    :param running: requests that are being computed, by model.
    :param queued_s: what those that wait are expected to take, one after the other.
    :param robots: by robot; those seen longest ago are summed up under ``(others)``.
    :param models: by model.
    :param batch_sizes: batches computed, by model and number of requests.
    """

    queued: Mapping[str, int]
    running: Mapping[str, int]
    queued_s: float
    robots: Mapping[str, WorkCounters]
    models: Mapping[str, WorkCounters]
    batch_sizes: Mapping[str, Mapping[int, int]]
