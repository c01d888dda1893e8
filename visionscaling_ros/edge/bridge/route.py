"""One server a frame may go to, and all that is known of it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from visionscaling_ros.edge.bridge.circuit_breaker import CircuitBreaker, CircuitState
from visionscaling_ros.edge.bridge.client import EdgeClient
from visionscaling_ros.edge.bridge.link_monitor import LinkMonitor, SentRequest
from visionscaling_ros.edge.bridge.tcp_info import TcpInfo
from visionscaling_ros.edge.wire.offload import FailureReason, OffloadError
from visionscaling_ros.edge.wire.protocol import EdgeReply

# A server that was lost is gone back to after it has been well for this long, twice as long for
# every further time it was lost in the last FLAP_WINDOW_S.
RETURN_S = 2.0
LONGEST_RETURN_S = 30.0
FLAP_WINDOW_S = 60.0
# A server that does not let the robot in is asked again this often.
ASK_AGAIN_S = 5.0
# The problem of a server nobody has heard of yet.
NOT_REACHED = 'not reached yet'


@dataclass(frozen=True)
class ServerStatus:
    """One server, for people. ``problem``: why it is not usable; empty: it is."""

    address: str
    circuit: CircuitState
    problem: str
    tcp: TcpInfo | None


class Route:
    """A client with its circuit breaker and estimates. Not thread-safe.

    :ivar client: sends; the bridge closes it.
    """

    def __init__(self, client: EdgeClient, max_failures: int, now_s: float) -> None:
        self.client = client
        self.breaker = CircuitBreaker(max_failures)
        self.monitor = LinkMonitor(now_s)
        self.in_flight = 0
        self.started = 0
        self.answered = 0
        self._problem = NOT_REACHED
        self._well_since_s = math.inf
        self._asked_s = -math.inf
        self._lost_s: deque[float] = deque()

    @property
    def state(self) -> CircuitState:
        """State of its circuit."""
        return self.breaker.state

    def status(self) -> ServerStatus:
        """How it is."""
        return ServerStatus(self.client.address, self.state, self._problem, self.client.tcp_info())

    def welcome_back(self, now_s: float) -> bool:
        """Whether frames that go elsewhere should come here again."""
        if not self.breaker.may_send():
            return False
        if self.breaker.locked_out:
            return now_s - self._asked_s >= ASK_AGAIN_S
        while self._lost_s and self._lost_s[0] < now_s - FLAP_WINDOW_S:
            self._lost_s.popleft()
        times = len(self._lost_s)
        pause_s = min(LONGEST_RETURN_S, RETURN_S * 2.0 ** (times - 1)) if times else 0.0
        return self.state is CircuitState.CLOSED and now_s - self._well_since_s >= pause_s

    def request_started(self, key: int, sent: SentRequest) -> int:
        """A request goes out; returns a ticket for :meth:`request_failed`."""
        self.started += 1
        self.in_flight += 1
        self._asked_s = sent.sent_s
        self.monitor.sent(key, sent)
        return self.breaker.request_sent()

    def request_answered(
        self, key: int, sent: SentRequest, reply: EdgeReply, now_s: float
    ) -> tuple[float, float]:
        """Its reply is here; returns the server's queueing and computing time [s]."""
        self.in_flight -= 1
        self.answered += 1
        wire_s = self.client.wire_times(sent.sent_s, now_s)
        times_s = self.monitor.answered(key, sent, reply, wire_s)
        self.breaker.request_succeeded()
        self._note('', now_s)
        return times_s

    def request_failed(self, key: int, ticket: int, error: OffloadError, now_s: float) -> None:
        """It came to nothing."""
        self.in_flight -= 1
        self.monitor.failed(key, error.reason, now_s)
        was = self.state
        if error.reason is FailureReason.REFUSED:
            self.answered += 1
            self.breaker.request_succeeded()
        elif error.reason is FailureReason.UNAUTHORIZED:
            self.breaker.request_forbidden(ticket)
        else:
            self.breaker.request_failed(ticket)
        self._follow(was, str(error), now_s)
        if error.reason is FailureReason.TIMEOUT:
            self.client.drop_stuck()

    def probe_succeeded(self, rtt_s: float, now_s: float, *, idle: bool) -> None:
        """The server gave a sign of life."""
        was = self.state
        self.monitor.capacity.rtt_measured(rtt_s, now_s, idle=idle)
        self.breaker.probe_succeeded()
        self._follow(was, self._problem, now_s)

    def probe_failed(self, error: OffloadError, started_s: float, now_s: float) -> None:
        """The server gave no sign of life."""
        was = self.state
        self.breaker.probe_failed()
        self._follow(was, str(error), now_s)
        if error.reason is FailureReason.TIMEOUT:
            self.monitor.capacity.dead(started_s, now_s)
            self.client.drop_silent(started_s)

    def _follow(self, was: CircuitState, problem: str, now_s: float) -> None:
        """Take note of what became of the circuit."""
        if self.state is CircuitState.OPEN:
            if was is CircuitState.CLOSED:
                self._lost_s.append(now_s)
            if was is not CircuitState.OPEN:
                self.monitor.capacity.lost(now_s)
            self._note(problem, now_s)
        elif self.state is CircuitState.CLOSED:
            self._note('', now_s)

    def _note(self, problem: str, now_s: float) -> None:
        if problem or self._problem:
            self._well_since_s = math.inf if problem else now_s
        self._problem = problem
