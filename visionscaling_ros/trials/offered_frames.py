"""A robot that offers frames to an edge bridge at a rate, for trials."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from visionscaling_ros.edge.bridge.bridge import EdgeBridge
from visionscaling_ros.edge.bridge.client import GrpcEdgeClient
from visionscaling_ros.edge.bridge.link_snapshot import LinkSnapshot
from visionscaling_ros.edge.wire.offload import OffloadFrame, OffloadOutcome
from visionscaling_ros.errors import EdgeError
from visionscaling_ros.trials.child import INPUT_SIZE_PX, MODEL

CONNECT_TIMEOUT_S = 20.0
# JPEGs of 192 to 640 px, in bytes: log-normal within these bounds.
SMALLEST_BYTES, LARGEST_BYTES = 4_000, 40_000
MEDIAN_BYTES, SPREAD = 12_000, 0.6
# A demand of nearly nothing is still a frame so often.
LONGEST_PAUSE_S = 0.25
SHORTEST_PAUSE_S = 0.002


def make_frame(number: int, payload: bytes, deadline_s: float) -> OffloadFrame:
    """A frame of any bytes that is of use for ``deadline_s`` from now."""
    due_s = time.monotonic() + deadline_s
    return OffloadFrame(number, 1, MODEL, INPUT_SIZE_PX, payload, 640, 480, due_s)


@contextlib.contextmanager
def connected_bridge(
    address: str, on_outcome: Callable[[OffloadOutcome], None] = lambda outcome: None
) -> Iterator[EdgeBridge]:
    """A bridge whose server answers; raises EdgeError if it does not."""
    bridge = EdgeBridge(GrpcEdgeClient(address, robot_id='trial'), on_outcome=on_outcome)
    try:
        give_up_s = time.monotonic() + CONNECT_TIMEOUT_S
        while bridge.snapshot().circuit != 'closed':
            if time.monotonic() > give_up_s:
                raise EdgeError(f'{address}: {bridge.servers()[0].problem}')
            time.sleep(0.05)
        yield bridge
    finally:
        bridge.close()


class OfferedFrames:
    """A thread that submits frames to ``bridge`` while entered as a context manager.

    :param demand_bps: how much is offered at a time of the monotonic clock [bit/s].
    """

    def __init__(
        self,
        bridge: EdgeBridge,
        demand_bps: Callable[[float], float],
        *,
        deadline_s: float = 1.0,
        largest_bytes: int = LARGEST_BYTES,
        seed: int = 0,
    ) -> None:
        self._bridge = bridge
        self._demand_bps = demand_bps
        self._deadline_s = deadline_s
        self._largest_bytes = largest_bytes
        self._random = np.random.default_rng(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name='offered-frames', daemon=True)

    def __enter__(self) -> OfferedFrames:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        number, next_s = 0, time.monotonic()
        noise = self._random.bytes(self._largest_bytes)
        while not self._stop.wait(max(0.0, next_s - time.monotonic())):
            size_bytes = int(MEDIAN_BYTES * np.exp(SPREAD * self._random.standard_normal()))
            size_bytes = min(max(size_bytes, SMALLEST_BYTES), self._largest_bytes)
            self._bridge.submit(make_frame(number, noise[:size_bytes], self._deadline_s))
            number += 1
            pause_s = 8.0 * size_bytes / max(self._demand_bps(time.monotonic()), 1.0)
            next_s = max(next_s, time.monotonic() - LONGEST_PAUSE_S)
            next_s += min(max(pause_s, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)


def sampled(
    bridge: EdgeBridge, seconds: float, period_s: float
) -> Iterator[tuple[float, LinkSnapshot]]:
    """(time on the monotonic clock, snapshot) every ``period_s``."""
    started_s = time.monotonic()
    for index in range(1, int(seconds / period_s) + 1):
        time.sleep(max(0.0, started_s + index * period_s - time.monotonic()))
        yield time.monotonic(), bridge.snapshot()
