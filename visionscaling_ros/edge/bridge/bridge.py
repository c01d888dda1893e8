"""The robot's way to the edge: paced, bounded in time and memory, one outcome for every frame."""

from __future__ import annotations

import dataclasses
import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from visionscaling_ros.edge.bridge.client import EdgeClient
from visionscaling_ros.edge.bridge.link_monitor import SentRequest
from visionscaling_ros.edge.bridge.link_snapshot import LinkSnapshot
from visionscaling_ros.edge.bridge.outcome_book import OutcomeBook, deliver
from visionscaling_ros.edge.bridge.pacer import Pacer
from visionscaling_ros.edge.bridge.prober import Prober
from visionscaling_ros.edge.bridge.route import Route, ServerStatus
from visionscaling_ros.edge.bridge.routes import Routes
from visionscaling_ros.edge.bridge.waiting_frames import WaitingFrame, WaitingFrames
from visionscaling_ros.edge.wire.offload import (
    FailureReason,
    OffloadError,
    OffloadFrame,
    OffloadOutcome,
)
from visionscaling_ros.edge.wire.protocol import EdgeReply
from visionscaling_ros.errors import InvalidValueError

_logger = logging.getLogger(__name__)

# A client that has not called back this long after a deadline never will.
WATCHDOG_S = 0.5
# Without a frame for this long the bridge is idle.
IDLE_AFTER_S = 5.0


@dataclass(frozen=True)
class _Request:
    waited: WaitingFrame
    route: Route
    sent: SentRequest
    ticket: int


class EdgeBridge:
    """Sends frames to the first of its servers that is well; owns and closes ``clients``.

    ``on_outcome`` is called exactly once per submitted frame, from the bridge's own thread (frames
    submitted after :meth:`close`: from the caller's), so it must not block for long. No frame
    is sent twice, not even to another server: what fails goes back while it is still of use. Of the
    frames that wait the newest ``max_queued`` are kept; at most ``max_in_flight`` are on their way;
    a frame that would come too late behind those, or at the pace, is held back. A spare frame is
    taken only while no other waits or is on its way and it is expected back in time; one that still
    waits (for the pace) makes way for any other.

    :param clients: one for each server, in order of preference.
    :param idle_probe_interval_s: between signs of life asked of a server that is well while nothing
        is sent: each costs the radio's tail. None: as often as otherwise.
    """

    def __init__(
        self,
        *clients: EdgeClient,
        on_outcome: Callable[[OffloadOutcome], None],
        max_in_flight: int = 4,
        max_queued: int = 2,
        max_failures: int = 3,
        probe_interval_s: float = 1.0,
        idle_probe_interval_s: float | None = None,
        probe_timeout_s: float = 1.0,
    ) -> None:
        self._on_outcome = on_outcome
        self._max_in_flight = max_in_flight
        self._max_failures = max_failures
        self._probe_interval_s = probe_interval_s
        self._idle_probe_interval_s = idle_probe_interval_s or probe_interval_s
        self._probe_timeout_s = probe_timeout_s
        self._submitted_s = -math.inf
        self._pacer = Pacer(on_hold=self._on_hold, on_resume=self._on_resume)
        self._changed = threading.Condition()  # guards everything below
        self._waiting = WaitingFrames(max_queued)
        self._in_flight: dict[int, _Request] = {}
        self._book = OutcomeBook()
        self._next_key = 0
        self._closed = False
        self._routes, self._probers = self._open(clients)
        self._thread = threading.Thread(target=self._work, name='edge-sender', daemon=True)
        self._thread.start()

    def submit(self, frame: OffloadFrame) -> None:
        """Take over ``frame``; never blocks."""
        waiting = WaitingFrame(frame, time.monotonic())
        with self._changed:
            self._book.accepted += 1
            self._submitted_s = waiting.accepted_s
            if not self._closed:
                self._enqueue(waiting)
                self._changed.notify_all()
                return
            self._book.fail(waiting, FailureReason.SHUTDOWN)
            outcomes = self._book.take()
        deliver(outcomes, self._on_outcome)

    def set_tx_rate_bps(self, rate_bps: float, slot_s: float = 1.0) -> int:
        """A slot of ``slot_s`` starts: pace to ``rate_bps`` (0 or inf: unlimited) until the next.

        Without a next one it repeats. Returns how many bytes had left before. Raises
        InvalidValueError.
        """
        sent_bytes = self._pacer.start_slot(rate_bps, slot_s)
        with self._changed:
            self._changed.notify_all()
        return sent_bytes

    def set_max_in_flight(self, max_in_flight: int) -> None:
        """How many frames may be on their way from now on."""
        with self._changed:
            self._max_in_flight = max_in_flight
            self._changed.notify_all()

    def set_clients(self, *clients: EdgeClient) -> None:
        """Send to these servers from now on; what is on its way to the others is given back."""
        routes, probers = self._open(clients)
        with self._changed:
            if not self._closed:
                self._routes, routes = routes, self._routes
                self._probers, probers = probers, self._probers
        self._shut(routes, probers)

    def snapshot(self) -> LinkSnapshot:
        """The link now. Means and goodput cover the time since the previous call."""
        with self._changed:
            now_s = time.monotonic()
            self._routes.select(now_s)
            route = self._routes.current
            rate_bps = self._pacer.rate_bps
            return LinkSnapshot(
                server=route.client.address,
                server_rank=self._routes.rank,
                reachable=not self._routes.all_open,
                circuit=route.state.value,
                tx_rate_bps=rate_bps if math.isfinite(rate_bps) else 0.0,
                **dataclasses.asdict(route.monitor.read(now_s)),
                in_flight=len(self._in_flight),
                accepted=self._book.accepted,
                answered=self._book.answered,
                failed=self._book.failed,
                sent_bytes=self._pacer.sent_bytes,
            )

    def servers(self) -> tuple[ServerStatus, ...]:
        """How each server is, in order of preference."""
        with self._changed:
            return tuple(route.status() for route in self._routes)

    def close(self) -> None:
        """Fail what waits or is in flight, close the clients, end the threads. Idempotent."""
        with self._changed:
            self._closed = True
            for key in list(self._in_flight):
                error = OffloadError(FailureReason.SHUTDOWN, 'the bridge was closed')
                self._finish(key, error, time.monotonic())
            while len(self._waiting):
                self._book.fail(self._waiting.take(), FailureReason.SHUTDOWN)
            self._changed.notify_all()
        self._shut(self._routes, self._probers)
        if self._thread is not threading.current_thread():
            self._thread.join()
        with self._changed:
            outcomes = self._book.take()
        deliver(outcomes, self._on_outcome)

    def _open(self, clients: tuple[EdgeClient, ...]) -> tuple[Routes, list[Prober]]:
        if not clients:
            raise InvalidValueError('clients', clients, 'at least one')
        now_s = time.monotonic()
        for client in clients:
            client.attach(self._pacer)
        routes = Routes([Route(client, self._max_failures, now_s) for client in clients])
        probers = [
            Prober(
                route,
                self._changed,
                self._pacer,
                interval_s=self._interval_s,
                timeout_s=self._probe_timeout_s,
            )
            for route in routes
        ]
        return routes, probers

    def _shut(self, routes: Routes, probers: list[Prober]) -> None:
        for prober in probers:
            prober.close()
        for route in routes:
            route.client.close()
        for prober in probers:
            prober.join()

    def _interval_s(self) -> float:
        if time.monotonic() - self._submitted_s < IDLE_AFTER_S:
            return self._probe_interval_s
        return self._idle_probe_interval_s

    def _enqueue(self, waiting: WaitingFrame) -> None:
        if waiting.frame.spare:
            busy = bool(len(self._waiting) or self._in_flight)
            if busy or not self._in_time(waiting, self._routes.current, time.monotonic()):
                self._book.fail(waiting, FailureReason.SUPERSEDED)
                return
        for displaced in self._waiting.put(waiting):
            self._book.fail(displaced, FailureReason.SUPERSEDED)

    def _work(self) -> None:
        """Sender thread: sends what may be sent, delivers every outcome, ends when closed."""
        while True:
            with self._changed:
                now_s = time.monotonic()
                key, wait_s = self._next_step(now_s)
                outcomes = self._book.take()
                if key is None and not outcomes:
                    if self._closed:
                        return
                    self._changed.wait(wait_s)
                    continue
                request = None if key is None else self._in_flight.get(key)
            # The frame first: it is what the network waits for.
            if key is not None and request is not None:
                self._send(key, request)
            deliver(outcomes, self._on_outcome)

    def _next_step(self, now_s: float) -> tuple[int | None, float | None]:
        """(key of the frame to send now, None) or (None, how long nothing is due [s])."""
        for key, request in list(self._in_flight.items()):
            if now_s >= request.waited.frame.deadline_monotonic_s + WATCHDOG_S:
                self._finish(key, OffloadError(FailureReason.TIMEOUT, 'no reply'), now_s)
        self._give_up_hopeless(now_s)
        due_s = [waiting.frame.deadline_monotonic_s for waiting in self._waiting]
        due_s += [
            request.waited.frame.deadline_monotonic_s + WATCHDOG_S
            for request in self._in_flight.values()
        ]
        if len(self._waiting):
            self._settle()
            route = self._routes.select(now_s)
            if route is not None and self._may_send(self._waiting.oldest, route, now_s):
                pause_s = self._pacer.wait_s()
                if pause_s <= 0.0:
                    return self._start(self._waiting.take(), route, now_s), None
                due_s.append(now_s + pause_s)
        return None, max(0.0, min(due_s) - now_s) if due_s else None

    def _give_up_hopeless(self, now_s: float) -> None:
        if self._routes.all_open:
            while len(self._waiting):
                self._book.fail(self._waiting.take(), FailureReason.EDGE_UNREACHABLE)
        for late in self._waiting.take_if(lambda w: w.frame.deadline_monotonic_s <= now_s):
            self._book.fail(late, FailureReason.DEADLINE)

    def _may_send(self, waiting: WaitingFrame, route: Route, now_s: float) -> bool:
        if len(self._in_flight) >= self._max_in_flight:
            return False
        if not self._in_flight:
            # With nothing in flight there is nothing else to learn from, but the pace is known.
            left_s = waiting.frame.deadline_monotonic_s - now_s
            return self._pacer.finish_in_s(waiting.upload_bytes) <= left_s
        # A frame that would be late is worth less than the newer one that may come while it waits.
        return self._in_time(waiting, route, now_s)

    def _in_time(self, waiting: WaitingFrame, route: Route, now_s: float) -> bool:
        left_s = waiting.frame.deadline_monotonic_s - now_s
        upload_bytes = waiting.upload_bytes
        return (
            route.monitor.expected_reply_s(upload_bytes, now_s) <= left_s
            and self._pacer.finish_in_s(upload_bytes) <= left_s
        )

    def _start(self, waiting: WaitingFrame, route: Route, now_s: float) -> int:
        key, self._next_key = self._next_key, self._next_key + 1
        upload_bytes = waiting.upload_bytes
        sent = SentRequest(waiting.frame.model, upload_bytes, now_s)
        ticket = route.request_started(key, sent)
        self._in_flight[key] = _Request(waiting, route, sent, ticket)
        self._pacer.announce(upload_bytes)
        return key

    def _send(self, key: int, request: _Request) -> None:
        frame = request.waited.frame
        timeout_s = max(0.0, frame.deadline_monotonic_s - time.monotonic())
        try:
            request.route.client.submit(frame, timeout_s, partial(self._on_reply, key))
        except Exception as error:  # a client's bug must not cost the frame
            _logger.exception('edge client failed')
            self._on_reply(key, OffloadError(FailureReason.UNAVAILABLE, f'not sent: {error!r}'))

    def _on_reply(self, key: int, reply: EdgeReply | OffloadError) -> None:
        now_s = time.monotonic()
        with self._changed:
            self._finish(key, reply, now_s)
            self._changed.notify_all()

    def _on_hold(self) -> None:
        with self._changed:
            for route in self._routes:
                route.monitor.capacity.held()

    def _on_resume(self, unsent_bytes: int) -> None:
        now_s = time.monotonic()
        with self._changed:
            for route in self._routes:
                route.monitor.capacity.resumed(8.0 * unsent_bytes, now_s)

    def _finish(self, key: int, reply: EdgeReply | OffloadError, now_s: float) -> None:
        """Settle the request ``key`` unless it was settled before."""
        request = self._in_flight.pop(key, None)
        if request is None:
            return
        self._settle()
        waited, route = request.waited, request.route
        if isinstance(reply, OffloadError):
            route.request_failed(key, request.ticket, reply, now_s)
            self._book.fail(waited, reply.reason, str(reply), waited.upload_bytes)
            return
        server_s = route.request_answered(key, request.sent, reply, now_s)
        self._book.answer(waited, reply, server_s, now_s)

    def _settle(self) -> None:
        """What is no longer in flight is not going to leave."""
        self._pacer.settle(sum(left.waited.upload_bytes for left in self._in_flight.values()))
