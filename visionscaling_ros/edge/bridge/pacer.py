"""One pace for all a robot sends: shared by the bridge, which starts frames, and the uplinks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from visionscaling_ros.edge.bridge.token_bucket import TokenBucket

# An uplink waits until this much may leave, so that a pace is no storm of single bytes.
SMALLEST_PART_BYTES = 1024


class Pacer:
    """A :class:`TokenBucket` behind a lock, and the count of what really left. Thread-safe.

    The bridge announces a frame when it starts it; the uplink takes leave for every part it sends.
    What is announced and has not left yet counts as sent when the next frame's turn is computed.

    :param on_hold: called (uplink's thread, no lock held) when bytes have to be held back.
    :param on_resume: called likewise when they may leave, with how many announced ones have not.
    """

    def __init__(
        self,
        on_hold: Callable[[], None] | None = None,
        on_resume: Callable[[int], None] | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._bucket = TokenBucket(now_s=time.monotonic())
        self._on_hold = on_hold
        self._on_resume = on_resume
        self._wakes: list[Callable[[], None]] = []
        self._announced_bytes = 0
        self._sent_bytes = 0
        self._holding = False
        self._holds = 0

    @property
    def rate_bps(self) -> float:
        """The ceiling in force [bit/s]; inf: none."""
        return self._bucket.rate_bps

    @property
    def sent_bytes(self) -> int:
        """What has left so far, headers and encryption included."""
        return self._sent_bytes

    @property
    def holds(self) -> int:
        """How often bytes were held back so far; those held now count."""
        return self._holds

    @property
    def holding(self) -> bool:
        """Whether bytes are held back now."""
        return self._holding

    def start_slot(self, rate_bps: float, slot_s: float) -> int:
        """Pace to ``rate_bps`` from now on, in slots of ``slot_s``; raises InvalidValueError.

        Returns how many bytes had left before.
        """
        with self._lock:
            self._bucket.start_slot(rate_bps, time.monotonic(), slot_s)
            wakes, sent_bytes = list(self._wakes), self._sent_bytes
        for wake in wakes:
            wake()
        return sent_bytes

    def wait_s(self) -> float:
        """How long until the next frame may start [s]."""
        with self._lock:
            return self._bucket.wait_s(time.monotonic(), 8.0 * self._announced_bytes)

    def finish_in_s(self, upload_bytes: int) -> float:
        """When the pace lets the last byte of a frame of ``upload_bytes`` leave [s from now]."""
        with self._lock:
            now_s = time.monotonic()
            announced_bits = 8.0 * self._announced_bytes
            return self._bucket.finish_s(8.0 * upload_bytes, now_s, announced_bits) - now_s

    def announce(self, upload_bytes: int) -> None:
        """A frame of about ``upload_bytes`` is about to be handed to an uplink."""
        with self._lock:
            self._announced_bytes += upload_bytes

    def settle(self, in_flight_bytes: int) -> None:
        """No more than ``in_flight_bytes`` can still have to leave."""
        with self._lock:
            self._announced_bytes = min(self._announced_bytes, in_flight_bytes)

    def take(self, wanted_bytes: int) -> int:
        """How many of ``wanted_bytes`` may leave now; they count as sent."""
        now_s = time.monotonic()
        with self._lock:
            taken_bytes = int(min(wanted_bytes, self._bucket.allowed_bits(now_s) / 8.0))
            was_holding, holding = self._holding, taken_bytes == 0
            self._holding = holding
            self._holds += holding and not was_holding
            unsent_bytes = self._announced_bytes
            self._count(taken_bytes, now_s)
        if holding and not was_holding and self._on_hold is not None:
            self._on_hold()
        if was_holding and not holding and self._on_resume is not None:
            self._on_resume(unsent_bytes)
        return taken_bytes

    def give_back(self, unsent_bytes: int) -> None:
        """The network took this many fewer than were taken leave for."""
        with self._lock:
            self._count(-unsent_bytes, time.monotonic())

    def hold_s(self, wanted_bytes: int) -> float:
        """How long until a part of ``wanted_bytes`` worth the trouble may leave [s]."""
        with self._lock:
            bits = 8.0 * min(wanted_bytes, SMALLEST_PART_BYTES)
            return self._bucket.hold_s(bits, time.monotonic())

    def let_go(self) -> None:
        """What was held back will never leave: its connection is gone."""
        with self._lock:
            was_holding, self._holding = self._holding, False
        if was_holding and self._on_resume is not None:
            self._on_resume(0)

    def attach(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` whenever the pace changes."""
        with self._lock:
            self._wakes.append(wake)

    def detach(self, wake: Callable[[], None]) -> None:
        """No longer call ``wake``."""
        with self._lock:
            self._wakes.remove(wake)

    def _count(self, sent_bytes: int, now_s: float) -> None:
        self._bucket.spend(8.0 * sent_bytes, now_s)
        self._sent_bytes += sent_bytes
        self._announced_bytes = max(0, self._announced_bytes - sent_bytes)
