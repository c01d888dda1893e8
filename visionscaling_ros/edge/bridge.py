"""The robot's way to the edge: paced, bounded in time and memory, one outcome for every frame."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from visionscaling_ros.datatypes import Detections
from visionscaling_ros.edge.circuit_breaker import CircuitBreaker, CircuitState
from visionscaling_ros.edge.client import EdgeClient
from visionscaling_ros.edge.link_monitor import LinkMonitor
from visionscaling_ros.edge.link_snapshot import LinkSnapshot
from visionscaling_ros.edge.offload import (
    FailureReason,
    OffloadError,
    OffloadFrame,
    OffloadOutcome,
)
from visionscaling_ros.edge.protocol import REQUEST_OVERHEAD_BYTES, EdgeReply
from visionscaling_ros.edge.token_bucket import TokenBucket

_logger = logging.getLogger(__name__)

# A client that has not called back this long after a deadline never will.
WATCHDOG_S = 0.5
# How often a server that is away is looked for.
SEARCH_INTERVAL_S = 0.25
# How many round trips are measured when it is found.
CONNECTED_PROBES = 4


@dataclass(frozen=True)
class _Entry:
    frame: OffloadFrame
    accepted_s: float
    ticket: int = 0
    upload_bytes: int = 0


class EdgeBridge:
    """Sends frames to an edge server through ``client``, which it owns and closes.

    ``on_outcome`` is called exactly once per submitted frame, from the bridge's own thread (frames
    submitted after :meth:`close`: from the caller's), so it must not block for long. No frame
    is sent twice. Of the frames that wait the newest ``max_queued`` are kept; at most
    ``max_in_flight`` are on their way; a frame that would come too late behind those is held back.
    A spare frame is taken only while no other waits or is on its way and it is expected back in
    time; one that still waits (for the pace) makes way for any other.
    """

    def __init__(
        self,
        client: EdgeClient,
        *,
        on_outcome: Callable[[OffloadOutcome], None],
        max_in_flight: int = 4,
        max_queued: int = 2,
        max_failures: int = 3,
        probe_interval_s: float = 1.0,
        probe_timeout_s: float = 1.0,
    ) -> None:
        self._client = client
        self._on_outcome = on_outcome
        self._max_in_flight = max_in_flight
        self._max_queued = max_queued
        self._probe_interval_s = probe_interval_s
        self._probe_timeout_s = probe_timeout_s
        self._changed = threading.Condition()  # guards everything below
        self._queue: deque[_Entry] = deque()
        self._in_flight: dict[int, _Entry] = {}
        self._outcomes: list[OffloadOutcome] = []
        self._next_key = 0
        self._closed = False
        self._bucket = TokenBucket(now_s=time.monotonic())
        self._breaker = CircuitBreaker(max_failures)
        self._monitor = LinkMonitor(time.monotonic())
        self._threads = [
            threading.Thread(target=self._work, name='edge-sender', daemon=True),
            threading.Thread(target=self._probe, name='edge-prober', daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, frame: OffloadFrame) -> None:
        """Take over ``frame``; never blocks."""
        entry = _Entry(frame, time.monotonic())
        with self._changed:
            self._monitor.accepted += 1
            if not self._closed:
                self._enqueue(entry)
                self._changed.notify_all()
                return
            self._fail(entry, FailureReason.SHUTDOWN)
            outcomes = self._take_outcomes()
        self._deliver(outcomes)

    def _enqueue(self, entry: _Entry) -> None:
        if entry.frame.spare:
            busy = bool(self._queue or self._in_flight)
            if busy or not self._in_time(entry, time.monotonic()):
                self._fail(entry, FailureReason.SUPERSEDED)
                return
        waiting_spare = [waiting for waiting in self._queue if waiting.frame.spare]
        self._queue.append(entry)
        superseded = waiting_spare or list(self._queue)[: -self._max_queued]
        for waiting in superseded:
            self._queue.remove(waiting)
            self._fail(waiting, FailureReason.SUPERSEDED)

    def set_tx_rate_bps(self, rate_bps: float) -> None:
        """Pace to ``rate_bps`` from now on; 0 or inf: unlimited. Raises InvalidValueError."""
        with self._changed:
            self._bucket.set_rate_bps(rate_bps, time.monotonic())
            self._changed.notify_all()

    def snapshot(self) -> LinkSnapshot:
        """The link now. Means and goodput cover the time since the previous call."""
        with self._changed:
            return self._monitor.snapshot(
                time.monotonic(),
                server=self._client.address,
                circuit=self._breaker.state,
                tx_rate_bps=self._bucket.rate_bps,
                in_flight=len(self._in_flight),
            )

    def close(self) -> None:
        """Fail what is queued or in flight, close the client, end the threads. Idempotent."""
        with self._changed:
            self._closed = True
            for key, entry in list(self._in_flight.items()):
                self._forget(key)
                self._fail(entry, FailureReason.SHUTDOWN)
            while self._queue:
                self._fail(self._queue.popleft(), FailureReason.SHUTDOWN)
            self._changed.notify_all()
        self._client.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        with self._changed:
            outcomes = self._take_outcomes()
        self._deliver(outcomes)

    def _work(self) -> None:
        """Sender thread: sends what may be sent, delivers every outcome, ends when closed."""
        while True:
            with self._changed:
                now_s = time.monotonic()
                key, wait_s = self._next_step(now_s)
                outcomes = self._take_outcomes()
                if key is None and not outcomes:
                    if self._closed:
                        return
                    self._changed.wait(wait_s)
                    continue
                entry = None if key is None else self._in_flight.get(key)
            self._deliver(outcomes)
            if key is not None and entry is not None:
                self._send(key, entry)

    def _next_step(self, now_s: float) -> tuple[int | None, float | None]:
        """(key of the frame to send now, None) or (None, how long nothing is due [s])."""
        for key, entry in list(self._in_flight.items()):
            if now_s >= entry.frame.deadline_monotonic_s + WATCHDOG_S:
                self._finish(key, OffloadError(FailureReason.TIMEOUT, 'no reply'), now_s)
        for entry in list(self._queue):
            reason = self._why_hopeless(entry, now_s)
            if reason is not None:
                self._queue.remove(entry)
                self._fail(entry, reason)
        due_s = [entry.frame.deadline_monotonic_s for entry in self._queue]
        due_s += [e.frame.deadline_monotonic_s + WATCHDOG_S for e in self._in_flight.values()]
        if self._queue and self._may_send(self._queue[0], now_s):
            pause_s = self._bucket.wait_s(now_s)
            if pause_s <= 0.0:
                return self._start(self._queue.popleft(), now_s), None
            due_s.append(now_s + pause_s)
        return None, max(0.0, min(due_s) - now_s) if due_s else None

    def _why_hopeless(self, entry: _Entry, now_s: float) -> FailureReason | None:
        if self._breaker.state is CircuitState.OPEN:
            return FailureReason.EDGE_UNREACHABLE
        return FailureReason.DEADLINE if entry.frame.deadline_monotonic_s <= now_s else None

    def _may_send(self, entry: _Entry, now_s: float) -> bool:
        if not self._in_flight:
            return self._breaker.may_send()
        # With something in flight there is something to learn from; a frame that would be late is
        # worth less than the newer one that may come while it waits.
        return (
            self._breaker.may_send()
            and len(self._in_flight) < self._max_in_flight
            and self._in_time(entry, now_s)
        )

    def _in_time(self, entry: _Entry, now_s: float) -> bool:
        left_s = entry.frame.deadline_monotonic_s - now_s
        return self._monitor.expected_reply_s(_upload_bytes(entry.frame), now_s) <= left_s

    def _start(self, entry: _Entry, now_s: float) -> int:
        upload_bytes = _upload_bytes(entry.frame)
        key, self._next_key = self._next_key, self._next_key + 1
        self._in_flight[key] = replace(
            entry, ticket=self._breaker.request_sent(), upload_bytes=upload_bytes
        )
        self._bucket.spend(8.0 * upload_bytes, now_s)
        self._monitor.sent(key, upload_bytes, now_s)
        return key

    def _send(self, key: int, entry: _Entry) -> None:
        timeout_s = max(0.0, entry.frame.deadline_monotonic_s - time.monotonic())
        try:
            self._client.submit(entry.frame, timeout_s, partial(self._on_reply, key))
        except Exception as error:  # a client's bug must not cost the frame
            _logger.exception('edge client failed')
            self._on_reply(key, OffloadError(FailureReason.UNAVAILABLE, f'not sent: {error!r}'))

    def _on_reply(self, key: int, reply: EdgeReply | OffloadError) -> None:
        now_s = time.monotonic()
        with self._changed:
            self._finish(key, reply, now_s)
            self._changed.notify_all()

    def _finish(self, key: int, reply: EdgeReply | OffloadError, now_s: float) -> None:
        """Settle the request ``key`` unless it was settled before."""
        entry = self._in_flight.pop(key, None)
        if entry is None:
            return
        if isinstance(reply, OffloadError):
            self._monitor.request_failed(key, reply.reason, now_s)
            if reply.reason is FailureReason.REFUSED:
                self._breaker.request_succeeded()
            else:
                self._breaker.request_failed(entry.ticket)
            self._fail(entry, reply.reason, str(reply))
            return
        self._monitor.request_answered(key, entry.upload_bytes, reply, now_s)
        self._breaker.request_succeeded()
        frame = entry.frame
        self._outcomes.append(
            OffloadOutcome(
                frame,
                answered=True,
                reason='',
                detections=reply.detections.to_pixels(frame.image_width_px, frame.image_height_px),
                queue_s=reply.queue_s,
                compute_s=reply.compute_s,
                upload_bytes=entry.upload_bytes,
                elapsed_s=now_s - entry.accepted_s,
            )
        )

    def _forget(self, key: int) -> None:
        del self._in_flight[key]
        self._monitor.forgotten(key)

    def _fail(self, entry: _Entry, reason: FailureReason, message: str = '') -> None:
        self._monitor.failed += 1
        self._outcomes.append(
            OffloadOutcome(
                entry.frame,
                answered=False,
                reason=reason.value,
                detections=Detections.empty(),
                message=message,
                upload_bytes=entry.upload_bytes,
                elapsed_s=time.monotonic() - entry.accepted_s,
            )
        )

    def _take_outcomes(self) -> list[OffloadOutcome]:
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def _deliver(self, outcomes: list[OffloadOutcome]) -> None:
        for outcome in outcomes:
            try:
                self._on_outcome(outcome)
            except Exception:  # the listener's bug must not cost the other frames theirs
                _logger.exception('on_outcome failed for frame %d', outcome.frame.frame_number)

    def _probe(self) -> None:
        """Prober thread: looks for signs of life, ends when closed."""
        while True:
            with self._changed:
                if self._closed:
                    return
                answered = self._monitor.answered
                started = self._next_key
                alone = not self._in_flight
                was_open = self._breaker.state is CircuitState.OPEN
            started_s = time.monotonic()
            rtt_s = self._round_trip_s()
            # That one included connecting, and soon there may be no more idle moment.
            for _ in range(CONNECTED_PROBES if was_open else 0):
                again_s = None if rtt_s is None else self._round_trip_s()
                rtt_s = None if again_s is None or rtt_s is None else min(rtt_s, again_s)
            with self._changed:
                if rtt_s is not None:
                    idle = alone and started == self._next_key
                    self._monitor.rtt_measured(rtt_s, time.monotonic(), idle=idle)
                    self._breaker.probe_succeeded()
                elif self._monitor.answered == answered:  # not merely stuck behind frames
                    self._breaker.probe_failed()
                self._changed.notify_all()
                self._pause(started_s)

    def _round_trip_s(self) -> float | None:
        try:
            return self._client.probe(self._probe_timeout_s)
        except OffloadError:
            return None
        except Exception:  # a client's bug must not end the search
            _logger.exception('edge client failed to probe')
            return None

    def _pause(self, started_s: float) -> None:
        interval_s = self._probe_interval_s
        if self._breaker.state is not CircuitState.CLOSED:
            interval_s = min(interval_s, SEARCH_INTERVAL_S)
        next_s = started_s + interval_s
        while not self._closed and (left_s := next_s - time.monotonic()) > 0.0:
            self._changed.wait(left_s)


def _upload_bytes(frame: OffloadFrame) -> int:
    return len(frame.payload) + REQUEST_OVERHEAD_BYTES
