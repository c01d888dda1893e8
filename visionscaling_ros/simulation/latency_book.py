"""How long frames take, waiting included, and a record of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from visionscaling_ros.datatypes import OperatingPoint

RTT_S = 0.05  # to the server and back, LTE (assumption)
ENCODE_S_PER_MPX = 0.01  # JPEG on one core of such a board (assumption)
MOST_QUEUED = 4.0  # frames waiting for the uplink at most; a deeper queue gives frames back

Rates = Sequence[tuple[int, float]]  # configuration, frames/s


class LatencyBook:
    """Latencies of the frames processed so far.

    :ivar latency_s: an entry per configuration, place and slot [s].
    :ivar frames: how many frames each entry stands for.
    """

    def __init__(self, points: tuple[OperatingPoint, ...], slot_s: float) -> None:
        self.latency_s: list[float] = []
        self.frames: list[float] = []
        self._slot_s = slot_s
        self.use_points(points)

    def use_points(self, points: tuple[OperatingPoint, ...]) -> None:
        """What frames take from now on."""
        self._upload_bits = [p.upload_bits for p in points]
        self._server_s = [p.server_time_s for p in points]
        self._encode_s = [ENCODE_S_PER_MPX * 1e-6 * p.input_size_px**2 for p in points]

    def local(
        self, ran: Iterable[tuple[int, float]], frame_s: Sequence[float], factor: float,
        *, busy: float, ran_fps: float, offered_fps: float,
    ) -> tuple[float, float]:  # fmt: skip
        """Mean and largest latency of local frames [s]; NaN for none.

        A frame that arrives while another runs (a share ``busy`` of them) waits in a place for one,
        where the newest wins: on average half a service time, or half the time between frames
        where that is shorter.

        :param frame_s: usual time of each configuration [s]; ``factor`` times it is the slot's.
        """
        if ran_fps <= 0.0:
            return math.nan, math.nan
        mean_s = busy / ran_fps
        wait_s = 0.5 * busy * min(mean_s, 1.0 / offered_fps)
        longest_s = 0.0
        for k, rate in ran:
            latency_s = factor * frame_s[k] + wait_s
            self._write(latency_s, rate)
            longest_s = max(longest_s, latency_s)
        return mean_s + wait_s, longest_s

    def edge(
        self, offered: Rates, *, carried: float, rate_bps: float, share: float, rtt_s: float
    ) -> tuple[float, float]:
        """Mean and largest latency of the offloaded frames that got through [s]; NaN for none.

        Encoding, waiting for the uplink as in an M/D/1 queue cut off at a few frames, sending,
        the round trip, and the server, of which the robot has a share.

        :param carried: part of the offered frames that gets through.
        """
        if not offered or carried <= 0.0:
            return math.nan, math.nan
        load = sum([rate * self._upload_bits[k] for k, rate in offered]) / rate_bps
        offered_fps = sum([rate for _, rate in offered])
        queued = load / (2.0 * (1.0 - load)) if load < 1.0 else MOST_QUEUED
        wait_s = min(queued, MOST_QUEUED) * load / offered_fps
        total = longest_s = 0.0
        for k, rate in offered:
            latency_s = self._encode_s[k] + wait_s + self._upload_bits[k] / rate_bps + rtt_s
            latency_s += self._server_s[k] / share
            self._write(latency_s, rate * carried)
            total += rate * latency_s
            longest_s = max(longest_s, latency_s)
        return total / offered_fps, longest_s

    def _write(self, latency_s: float, rate_fps: float) -> None:
        self.latency_s.append(latency_s)
        self.frames.append(rate_fps * self._slot_s)
