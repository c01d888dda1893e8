"""How much of the server each robot can count on."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

# A robot that sent nothing for this long does not count.
ACTIVE_S = 5.0
# Use is averaged over about this long, over at least LEAST_S where a robot is new.
MEMORY_S = 5.0
LEAST_S = 1.0
# Robots name themselves where no credentials are asked for: of more, those seen last count.
MAX_ROBOTS = 256


@dataclass
class _Robot:
    first_s: float
    seen_s: float
    used_s: float = 0.0  # computing time, older parts fading
    updated_s: float = 0.0

    def fade(self, now_s: float) -> None:
        self.used_s *= math.exp(-max(0.0, now_s - self.updated_s) / MEMORY_S)
        self.updated_s = now_s

    def use(self, now_s: float) -> float:
        """Computing time per second."""
        self.fade(now_s)
        age_s = max(LEAST_S, now_s - self.first_s)
        return self.used_s / (MEMORY_S * -math.expm1(-age_s / MEMORY_S))


class RobotShares:
    """Max-min fair shares of the computing time, from what each robot used lately.

    The share of a robot is the level ``s`` with ``s + sum over the others of min(use, s) = 1``
    (water filling; Bertsekas and Gallager, Data Networks, 1992, 6.5.2): what it gets if it asks for
    all it can and the others go on as they do. That is an equal share where the others use theirs,
    and more where they do not.

    :param workers: requests computed at once; together they are a share of 1.
    """

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._robots: OrderedDict[str, _Robot] = OrderedDict()  # seen longest ago first

    def seen(self, robot: str, now_s: float) -> None:
        """``robot`` sends something."""
        known = self._robots.get(robot)
        if known is None or known.seen_s <= now_s - ACTIVE_S:
            known = self._robots[robot] = _Robot(first_s=now_s, seen_s=now_s, updated_s=now_s)
        known.seen_s = now_s
        self._robots.move_to_end(robot)
        if len(self._robots) > MAX_ROBOTS:
            self._robots.popitem(last=False)

    def used(self, robot: str, compute_s: float, now_s: float) -> None:
        """``robot`` was given computing time."""
        known = self._robots.get(robot)
        if known is not None:
            known.fade(now_s)
            known.used_s += compute_s

    def active(self, now_s: float) -> int:
        """How many robots sent something lately."""
        self._forget(now_s)
        return len(self._robots)

    def share(self, robot: str, now_s: float) -> float:
        """The share (0 to 1] that ``robot`` can count on."""
        self._forget(now_s)
        others = [
            known.use(now_s) / self._workers
            for name, known in self._robots.items()
            if name != robot
        ]
        return _level(others)

    def _forget(self, now_s: float) -> None:
        while self._robots:
            name, longest_ago = next(iter(self._robots.items()))
            if longest_ago.seen_s > now_s - ACTIVE_S:
                return
            del self._robots[name]


def _level(uses: Sequence[float]) -> float:
    """``s`` with ``s + sum of min(use, s) = 1``."""
    left, claims = 1.0, len(uses) + 1
    for use in sorted(uses):
        if use >= left / claims:
            break
        left -= use
        claims -= 1
    return left / claims
