"""The way into the edge server: how many requests are under way, and how often they come."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator

import grpc

from visionscaling_ros.edge.server.authenticator import Caller
from visionscaling_ros.edge.server.rate_limiter import RateLimiter
from visionscaling_ros.edge.server.request_outcome import RequestOutcome, RequestRefusedError
from visionscaling_ros.edge.server.server_limits import ServerLimits


class RequestGate:
    """Refuses before a request's body is read. Used from the server's event loop only."""

    def __init__(
        self, limits: ServerLimits, *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits
        self._clock_s = clock_s
        self._rates = RateLimiter()
        self._under_way: Counter[str] = Counter()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether nothing is let in any more."""
        return self._closed

    def close(self) -> None:
        """Let nothing in from now on."""
        self._closed = True

    @contextlib.contextmanager
    def admit(self, caller: Caller) -> Iterator[None]:
        """Let one request in for as long as the context lasts; raises RequestRefusedError."""
        if self._closed:
            raise RequestRefusedError(
                grpc.StatusCode.UNAVAILABLE, RequestOutcome.DRAINING, 'the server is about to end'
            )
        self._check(caller)
        self._under_way[caller.key] += 1
        try:
            yield
        finally:
            self._under_way[caller.key] -= 1
            if not self._under_way[caller.key]:
                del self._under_way[caller.key]

    def _check(self, caller: Caller) -> None:
        limits = self._limits
        rate = caller.entry.requests_per_second if caller.entry is not None else None
        rate = limits.requests_per_second if rate is None else rate
        if not self._rates.allow(caller.key, rate, self._clock_s()):
            raise _quota(f'{caller.key} sends too often, allowed: {rate:g} requests/s')
        if self._under_way[caller.key] >= limits.requests_per_robot:
            raise _quota(
                f'{caller.key} has {limits.requests_per_robot} requests under way, '
                f'allowed: {limits.requests_per_robot}'
            )
        if self._under_way.total() >= limits.requests:
            raise RequestRefusedError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                RequestOutcome.REFUSED_OVERLOAD,
                f'{limits.requests} requests are under way, allowed: {limits.requests}',
            )


def _quota(message: str) -> RequestRefusedError:
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    return RequestRefusedError(code, RequestOutcome.REFUSED_QUOTA, message)
