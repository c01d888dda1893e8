"""How much of the server each robot can count on."""

from __future__ import annotations

# A robot that sent nothing for this long does not count.
ACTIVE_S = 5.0


class RobotShares:
    """Equal shares among the robots that sent something lately."""

    def __init__(self) -> None:
        self._seen_s: dict[str, float] = {}

    def share(self, robot_id: str, now_s: float) -> float:
        """The share (0 to 1] of ``robot_id``, which sends something at ``now_s``."""
        self._seen_s[robot_id] = now_s
        self._seen_s = {
            robot: seen_s for robot, seen_s in self._seen_s.items() if seen_s > now_s - ACTIVE_S
        }
        return 1.0 / len(self._seen_s)
