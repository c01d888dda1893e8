"""Faults of the link, and of who is found at its other end."""

from __future__ import annotations

from visionscaling_ros.graph.graphs import EDGE_BRIDGE
from visionscaling_ros.trials.faults.bench import FaultBench
from visionscaling_ros.trials.faults.fault import FaultKind

# RFC 6761: no name under .invalid ever resolves.
NOWHERE = 'edge-box.invalid:8001'
BRIDGE_NODE = f'/{EDGE_BRIDGE}'


class LinkDead:
    """Everything sent is lost; TCP tries again, less and less often."""

    def __init__(self, bench: FaultBench, seconds: float) -> None:
        self._link = bench.link
        self._seconds = seconds

    def inject(self) -> None:
        """Lose everything, for as long as the fault is to last."""
        self._link.dead(self._seconds)

    def heal(self) -> None:
        """It comes back by itself."""


class LinkStalled(LinkDead):
    """Nothing passes, and nothing is lost."""

    def inject(self) -> None:
        """Keep everything back, for as long as the fault is to last."""
        self._link.stall(self._seconds)


class LinkReset:
    """Every connection is reset, once."""

    def __init__(self, bench: FaultBench, seconds: float) -> None:
        self._link = bench.link

    def inject(self) -> None:
        """Reset them."""
        self._link.reset()

    def heal(self) -> None:
        """New ones are welcome at once."""


class LinkRefused(LinkReset):
    """Every connection is reset and new ones are refused."""

    def inject(self) -> None:
        """Refuse from now on."""
        self._link.refuse(True)
        self._link.reset()

    def heal(self) -> None:
        """Accept again."""
        self._link.refuse(False)


class GarbageOnTheWire:
    """Something else listens where the server was, and talks nonsense."""

    def __init__(self, bench: FaultBench, seconds: float) -> None:
        self._bench = bench

    def inject(self) -> None:
        """Lead there."""
        self._bench.route(self._bench.garbage.address)

    def heal(self) -> None:
        """Lead to the server again."""
        self._bench.route(self._bench.server.address)


class NameUnknown:
    """The server's name does not resolve."""

    def __init__(self, bench: FaultBench, seconds: float) -> None:
        self._bench = bench

    def inject(self) -> None:
        """Name one that is unknown."""
        self._bench.observer.set_parameter(BRIDGE_NODE, 'server', NOWHERE)

    def heal(self) -> None:
        """Name the real one."""
        self._bench.observer.set_parameter(BRIDGE_NODE, 'server', self._bench.link.address)


KINDS = (
    FaultKind(
        'link-dead', LinkDead, (1.0, 3.0, 10.0, 2.0, 60.0, 1.0, 5.0, 2.0, 30.0, 3.0, 1.0, 4.0)
    ),
    FaultKind('link-stalled', LinkStalled, (1.0, 2.0, 5.0)),
    FaultKind('link-reset', LinkReset, (0.5,)),
    FaultKind('link-refused', LinkRefused),
    FaultKind('wire-garbage', GarbageOnTheWire),
    FaultKind('name-unknown', NameUnknown),
)
