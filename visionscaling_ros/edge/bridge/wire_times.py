"""When bytes really left and arrived, which is not when somebody asked for it or heard of it."""

from __future__ import annotations

import math
import time
from collections import deque

# Writes remembered; a frame takes a few.
_REMEMBERED = 256


class WireTimes:
    """Times of one uplink, on the monotonic clock. Written by its thread, read by any."""

    def __init__(self) -> None:
        self._sent_s: deque[float] = deque(maxlen=_REMEMBERED)
        self._received_s = -math.inf

    def sent(self) -> float:
        """Bytes leave now; returns the time."""
        now_s = time.monotonic()
        self._sent_s.append(now_s)
        return now_s

    def received(self) -> float:
        """Bytes arrive now; returns the time."""
        self._received_s = time.monotonic()
        return self._received_s

    def between(self, asked_s: float, heard_s: float) -> tuple[float, float]:
        """When what was asked for at ``asked_s`` left, and what was heard at ``heard_s`` arrived.

        Those times themselves where nothing better is known.
        """
        left_s = next((at_s for at_s in tuple(self._sent_s) if at_s >= asked_s), heard_s)
        arrived_s = min(self._received_s, heard_s)
        return (left_s, arrived_s) if left_s < arrived_s else (asked_s, heard_s)
