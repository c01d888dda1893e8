"""Which of several servers a frame goes to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from visionscaling_ros.edge.bridge.circuit_breaker import CircuitState
from visionscaling_ros.edge.bridge.route import Route


class Routes:
    """Servers in order of preference. Not thread-safe.

    Frames go to the first whose circuit lets them. From a server that is well they go back to a
    preferred one only once that has been well for a while, so that one that comes and goes does not
    drag the stream along.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = tuple(routes)
        self._current = self._routes[0]

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    @property
    def current(self) -> Route:
        """The server frames went to last."""
        return self._current

    @property
    def rank(self) -> int:
        """Its place in the order, 0 being the first."""
        return self._routes.index(self._current)

    @property
    def all_open(self) -> bool:
        """Whether no server can be sent to."""
        return all(route.state is CircuitState.OPEN for route in self._routes)

    def select(self, now_s: float) -> Route | None:
        """The server for the next frame; None: none takes one now."""
        for preferred in self._routes[: self.rank]:
            if preferred.welcome_back(now_s):
                self._current = preferred
                return preferred
        if self._current.state is CircuitState.CLOSED:
            return self._current
        ready = [route for route in self._routes if route.breaker.may_send()]
        closed = [route for route in ready if route.state is CircuitState.CLOSED]
        for route in closed or ready:
            self._current = route
            return route
        return None
