"""An edge server's counters, read from its Prometheus metrics, and held against a robot's."""

from __future__ import annotations

import time
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from visionscaling_ros.errors import EdgeError
from visionscaling_ros.trials.load_robot import RobotAccount

REQUESTS = 'visionscaling_edge_requests'
COMPUTE = 'visionscaling_edge_robot_compute_seconds'
TIMEOUT_S = 10.0
OK = 'ok'
# Outcomes that reach a robot as the reason "refused".
REFUSED = ('refused_overload', 'refused_quota', 'invalid')


@dataclass(frozen=True)
class ServerCounts:
    """What a server has counted until ``monotonic_s``.

    :param outcomes: by robot: requests that ended, by outcome.
    :param compute_s: by robot: computing time spent on it, its part of every batch.
    """

    monotonic_s: float
    outcomes: Mapping[str, Mapping[str, int]]
    compute_s: Mapping[str, float]


def read_counts(metrics_url: str) -> ServerCounts:
    """The counters now; raises EdgeError."""
    try:
        with urllib.request.urlopen(metrics_url, timeout=TIMEOUT_S) as answer:
            text = answer.read().decode()
    except OSError as error:
        raise EdgeError(f'{metrics_url}: {error}') from error
    outcomes: defaultdict[str, dict[str, int]] = defaultdict(dict)
    compute_s: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if family.name == REQUESTS:
                outcomes[sample.labels['robot']][sample.labels['outcome']] = int(sample.value)
            elif family.name == COMPUTE:
                compute_s[sample.labels['robot']] = sample.value
    return ServerCounts(time.monotonic(), outcomes, compute_s)


def disagreements(account: RobotAccount, outcomes: Mapping[str, int]) -> list[str]:
    """Where a robot's books and the server's contradict each other; [] if nowhere.

    A request that the robot gave up (``timeout``) may have ended in any way on the server, or have
    never reached it; every other must be found there with the outcome the robot was told. So with
    no timeouts all counts are equal.
    """
    given_up = account.unanswered_sent.get('timeout', 0)
    refused = account.unanswered_sent.get('refused', 0)
    rows = (
        ('requests', account.sent - given_up, sum(outcomes.values())),
        ('answers', account.answered, outcomes.get(OK, 0)),
        ('refusals', refused, sum(outcomes.get(name, 0) for name in REFUSED)),
    )
    return [
        f'{name}: the robot knows of {known}, and gave {given_up} up; the server counts {counted}'
        for name, known, counted in rows
        if not known <= counted <= known + given_up
    ]
