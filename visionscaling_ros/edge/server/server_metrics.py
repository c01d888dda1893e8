"""The edge server's statistics as Prometheus reads them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from visionscaling_ros.edge.server.server_statistics import (
    OTHER_ROBOTS,
    Histogram,
    ServerStatistics,
)
from visionscaling_ros.edge.server.work_books import OTHERS

PREFIX = 'visionscaling_edge_'


class ServerMetrics:
    """A Prometheus collector. It keeps nothing: what it shows is what is counted elsewhere.

    :param gauges: values read at every scrape: name, what it is, and a function that gives values
        by model, or one value under ''.
    """

    def __init__(
        self,
        statistics: ServerStatistics,
        gauges: tuple[tuple[str, str, Callable[[], Mapping[str, float]]], ...],
        compute_s: Callable[[], Mapping[str, float]],
    ) -> None:
        self._statistics = statistics
        self._gauges = gauges
        self._compute_s = compute_s
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Every metric at this moment."""
        statistics = self._statistics
        yield _counter('received', 'requests that came in', statistics.received)
        yield _counter('received_bytes', 'bytes of their messages', statistics.received_bytes)
        requests = CounterMetricFamily(
            f'{PREFIX}requests', 'requests that ended', labels=('robot', 'outcome')
        )
        for (robot, outcome), count in sorted(statistics.outcomes.items()):
            requests.add_metric((robot, outcome.value), count)
        yield requests
        compute = CounterMetricFamily(
            f'{PREFIX}robot_compute_seconds', 'its part of the computing time', labels=('robot',)
        )
        seconds_by_label: defaultdict[str, float] = defaultdict(float)
        for robot, seconds in self._compute_s().items():
            label = OTHER_ROBOTS if robot == OTHERS else statistics.label(robot)
            seconds_by_label[label] += seconds
        for label, seconds in sorted(seconds_by_label.items()):
            compute.add_metric((label,), seconds)
        yield compute
        in_flight = GaugeMetricFamily(f'{PREFIX}in_flight', 'requests under way')
        in_flight.add_metric((), statistics.in_flight)
        yield in_flight
        yield _histogram('queue_seconds', 'time in the queue', statistics.queue_s)
        yield _histogram('compute_seconds', 'computing time', statistics.compute_s)
        yield _histogram('batch_size', 'images computed together', statistics.batch_size)
        for name, meaning, read in self._gauges:
            values = read()
            gauge = GaugeMetricFamily(PREFIX + name, meaning, labels=('model',))
            if '' in values:
                gauge = GaugeMetricFamily(PREFIX + name, meaning)
            for model, value in values.items():
                gauge.add_metric((model,) if model else (), value)
            yield gauge


def _counter(name: str, meaning: str, value: float) -> Any:
    return CounterMetricFamily(PREFIX + name, meaning, value=value)


def _histogram(name: str, meaning: str, histogram: Histogram) -> Any:
    total = 0
    buckets = []
    ends = (*map(str, histogram.bins), '+Inf')
    for end, count in zip(ends, histogram.counts, strict=True):
        total += count
        buckets.append((end, total))
    return HistogramMetricFamily(PREFIX + name, meaning, buckets=buckets, sum_value=histogram.sum)
