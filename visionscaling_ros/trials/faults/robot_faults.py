"""Faults on the robot itself: nodes that die, a clock that jumps."""

from __future__ import annotations

import signal
from functools import partial

from visionscaling_ros.graph.graphs import CONTROLLER, EDGE_BRIDGE
from visionscaling_ros.trials.faults.bench import FaultBench
from visionscaling_ros.trials.faults.fault import FaultKind
from visionscaling_ros.trials.faults.observer import LINK_STATE, SLOT_DECISION

BACK_TIMEOUT_S = 60.0
HOUR_S = 3600.0


class NodeKilled:
    """A node's process is killed; the launch path starts it again.

    :param sign: the event that tells that it works again.
    """

    def __init__(self, bench: FaultBench, seconds: float, *, name: str, sign: str) -> None:
        self._bench = bench
        self._name = name
        self._sign = sign

    def inject(self) -> None:
        """Kill it."""
        self._bench.robot.kill(self._name, signal.SIGKILL)

    def heal(self) -> None:
        """Wait until it is back."""
        self._bench.wait_for(self._sign, BACK_TIMEOUT_S)


class ClockJumped:
    """The robot's ROS time jumps, and jumps back."""

    def __init__(self, bench: FaultBench, seconds: float, *, offset_s: float) -> None:
        self._observer = bench.observer
        self._offset_s = offset_s

    def inject(self) -> None:
        """Jump."""
        self._observer.jump_clock(self._offset_s)

    def heal(self) -> None:
        """Jump back."""
        self._observer.jump_clock(0.0)


KINDS = (
    FaultKind(
        'bridge-killed',
        partial(NodeKilled, name=EDGE_BRIDGE, sign=LINK_STATE),
        (0.5,),
        frozenset({EDGE_BRIDGE}),
    ),
    FaultKind(
        'controller-killed',
        partial(NodeKilled, name=CONTROLLER, sign=SLOT_DECISION),
        (0.5,),
        frozenset({CONTROLLER}),
    ),
    FaultKind('clock-ahead', partial(ClockJumped, offset_s=HOUR_S)),
    FaultKind('clock-back', partial(ClockJumped, offset_s=-HOUR_S)),
)
