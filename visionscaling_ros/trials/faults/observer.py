"""What a campaign has to see of a robot, and to do to it, whoever speaks to its graph."""

from __future__ import annotations

from typing import Protocol

from visionscaling_ros.trials.faults.fate_ledger import FateLedger

LINK_STATE = 'link_state'
SLOT_DECISION = 'slot_decision'
EDGE_RESULT = 'edge result'
EVENTS = (LINK_STATE, SLOT_DECISION, EDGE_RESULT)


class RobotObserver(Protocol):
    """Times are on the monotonic clock [s]."""

    ledger: FateLedger

    def wait_for(self, event: str, after_s: float, timeout_s: float) -> float | None:
        """When the first of EVENTS after ``after_s`` came; None if none did in time."""

    def set_parameter(self, node: str, name: str, value: str) -> None:
        """Set a parameter of a node; raises VisionScalingError when that is refused."""

    def jump_clock(self, offset_s: float) -> None:
        """Let the ROS time of the robot be ``offset_s`` off from now on."""
