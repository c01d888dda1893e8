"""Looks for signs of life of one server, off the way of the frames."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from visionscaling_ros.edge.bridge.circuit_breaker import CircuitState
from visionscaling_ros.edge.bridge.pacer import Pacer
from visionscaling_ros.edge.bridge.route import Route
from visionscaling_ros.edge.wire.offload import FailureReason, OffloadError

_logger = logging.getLogger(__name__)

# How often a server that is away is looked for.
SEARCH_INTERVAL_S = 0.25
# How many round trips are measured when it is found.
CONNECTED_PROBES = 4


class Prober:
    """A thread that asks the server of ``route`` for signs of life until closed.

    :param changed: guards ``route`` and is notified when something is known of it.
    :param interval_s: how long until the next one; called with ``changed`` held.
    """

    def __init__(
        self,
        route: Route,
        changed: threading.Condition,
        pacer: Pacer,
        *,
        interval_s: Callable[[], float],
        timeout_s: float,
    ) -> None:
        self._route = route
        self._changed = changed
        self._pacer = pacer
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._closed = False
        self._thread = threading.Thread(target=self._work, name='edge-prober', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Tell the thread to end; ``changed`` is not held."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self) -> None:
        """Wait until it has; close the route's client first, or that takes a probe's time."""
        self._thread.join()

    def _work(self) -> None:
        while not self._closed:
            started_s = time.monotonic()
            self._look()
            with self._changed:
                self._changed.notify_all()
                self._pause(started_s)

    def _look(self) -> None:
        route, pacer = self._route, self._pacer
        with self._changed:
            answered, requests = route.answered, route.started
            alone = route.in_flight == 0
            was_open = route.state is CircuitState.OPEN
        if pacer.holding:  # it would wait behind what is held back
            return
        holds = pacer.holds
        started_s = time.monotonic()
        try:
            rtt_s = self._round_trip_s()
            # That one included connecting, and soon there may be no more idle moment.
            for _ in range(CONNECTED_PROBES if was_open else 0):
                rtt_s = min(rtt_s, self._round_trip_s())
        except OffloadError as error:
            with self._changed:
                # Neither stuck behind frames nor held back by the pace: not there.
                stuck = route.answered != answered or pacer.holds != holds
                if not (stuck or self._closed):
                    route.probe_failed(error, started_s, time.monotonic())
            return
        with self._changed:
            idle = alone and requests == route.started and holds == pacer.holds
            route.probe_succeeded(rtt_s, time.monotonic(), idle=idle)
        if route.monitor.wants_counters:
            self._read_counters()

    def _round_trip_s(self) -> float:
        try:
            return self._route.client.probe(self._timeout_s)
        except OffloadError:
            raise
        except Exception as error:  # a client's bug must not end the search
            _logger.exception('edge client failed to probe')
            raise OffloadError(FailureReason.UNAVAILABLE, repr(error)) from error

    def _read_counters(self) -> None:
        try:
            counters = self._route.client.counters(self._timeout_s)
        except OffloadError:  # it keeps no statistics: its times stay unknown
            return
        with self._changed:
            self._route.monitor.counters_read(counters)

    def _pause(self, started_s: float) -> None:
        while not self._closed:
            left_s = started_s + self._pause_s() - time.monotonic()
            if left_s <= 0.0:
                return
            self._changed.wait(left_s)

    def _pause_s(self) -> float:
        breaker = self._route.breaker
        if breaker.state is CircuitState.CLOSED or breaker.locked_out:
            return self._interval_s()
        return min(self._interval_s(), SEARCH_INTERVAL_S)
