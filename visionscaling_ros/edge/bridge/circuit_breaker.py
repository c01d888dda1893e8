"""Stops sending to a server that does not answer, and notices when it does again."""

from __future__ import annotations

import enum


class CircuitState(str, enum.Enum):
    """closed: send. open: send nothing. half_open: the server lives, one frame may try it."""

    CLOSED = 'closed'
    OPEN = 'open'
    HALF_OPEN = 'half_open'


class CircuitBreaker:
    """Opens after ``max_failures`` failed requests in a row or one failed probe.

    Starts open: nothing is known of the server until its first probe. A probe that succeeds half
    opens it, then one request at a time goes through; the first that succeeds, or a further probe
    with no request on its way, closes it, one that fails opens it. Failures of requests sent before
    the circuit last opened are known already and do not count again. A server that does not let the
    robot in is no better for being alive: after that only a request closes it. Not thread-safe.
    """

    def __init__(self, max_failures: int = 3) -> None:
        self._max_failures = max_failures
        self._state = CircuitState.OPEN
        self._failures = 0
        self._trial = False
        self._locked_out = False
        self._openings = 0

    @property
    def state(self) -> CircuitState:
        """The state now."""
        return self._state

    @property
    def locked_out(self) -> bool:
        """Whether the server did not let the robot in when it last asked."""
        return self._locked_out

    def may_send(self) -> bool:
        """Whether a request may be sent now."""
        return self._state is CircuitState.CLOSED or (
            self._state is CircuitState.HALF_OPEN and not self._trial
        )

    def request_sent(self) -> int:
        """A request went out; returns a ticket for :meth:`request_failed`."""
        self._trial = self._state is CircuitState.HALF_OPEN
        return self._openings

    def request_succeeded(self) -> None:
        """The server answered a request: with a result or, knowingly, with a refusal."""
        self._locked_out = False
        self._close()

    def request_failed(self, ticket: int) -> None:
        """A request timed out, broke or came back unusable."""
        if ticket != self._openings:
            return
        self._failures += 1
        if self._failures >= self._max_failures or self._state is CircuitState.HALF_OPEN:
            self._open()

    def request_forbidden(self, ticket: int) -> None:
        """The server does not let this robot in."""
        self._locked_out = True
        if ticket == self._openings:
            self._open()

    def probe_succeeded(self) -> None:
        """The server gave a sign of life."""
        if self._state is CircuitState.OPEN:
            self._state = CircuitState.HALF_OPEN
            self._trial = False
        elif self._state is CircuitState.HALF_OPEN and not self._trial and not self._locked_out:
            self._close()

    def probe_failed(self) -> None:
        """The server gave no sign of life."""
        self._open()

    def _open(self) -> None:
        self._state = CircuitState.OPEN
        self._failures = 0
        self._openings += 1
        self._trial = False

    def _close(self) -> None:
        self._state = CircuitState.CLOSED
        self._failures = 0
        self._trial = False
