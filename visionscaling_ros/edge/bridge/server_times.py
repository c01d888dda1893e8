"""How long a server that does not say so in its replies takes: learnt from its statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NANOSECONDS = 1e-9


@dataclass(frozen=True)
class ModelCounters:
    """Requests answered so far, and the time they queued and were computed, all together [s]."""

    requests: int
    queue_s: float
    compute_s: float


def read_counters(response: Any) -> dict[str, ModelCounters]:
    """The counters in a ModelStatisticsResponse, all versions of a model together."""
    counters: dict[str, ModelCounters] = {}
    for model in response.model_stats:
        spent = model.inference_stats
        before = counters.get(model.name, ModelCounters(0, 0.0, 0.0))
        compute_ns = spent.compute_input.ns + spent.compute_infer.ns + spent.compute_output.ns
        counters[model.name] = ModelCounters(
            before.requests + spent.success.count,
            before.queue_s + _NANOSECONDS * spent.queue.ns,
            before.compute_s + _NANOSECONDS * compute_ns,
        )
    return counters


class ServerTimes:
    """Mean queueing and computing time of every model between the last two looks at counters.

    Other robots' requests are in the means too. Not thread-safe.
    """

    def __init__(self) -> None:
        self._before: Mapping[str, ModelCounters] = {}
        self._means_s: dict[str, tuple[float, float]] = {}

    def looked(self, counters: Mapping[str, ModelCounters]) -> None:
        """New counters are here; those that went back belong to a server started anew."""
        for model, now in counters.items():
            before = self._before.get(model, ModelCounters(0, 0.0, 0.0))
            if now.requests < before.requests:
                before = ModelCounters(0, 0.0, 0.0)
            requests = now.requests - before.requests
            if requests > 0:
                self._means_s[model] = (
                    (now.queue_s - before.queue_s) / requests,
                    (now.compute_s - before.compute_s) / requests,
                )
        self._before = counters

    def mean_s(self, model: str) -> tuple[float, float]:
        """Queueing and computing time of ``model`` [s]; NaN: not known."""
        return self._means_s.get(model, (math.nan, math.nan))
