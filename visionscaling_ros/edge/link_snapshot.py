"""The way to the edge server at one moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LinkSnapshot:
    """Units and meaning as in ``msg/LinkState.msg``; NaN: not known.

    ``goodput_bps``, ``server_queue_s`` and ``server_compute_s`` cover the time since the previous
    snapshot; the counters run since the bridge was made.
    """

    server: str
    reachable: bool
    circuit: str
    tx_rate_bps: float
    goodput_bps: float
    capacity_bps: float
    capacity_age_s: float
    rtt_s: float
    server_queue_s: float
    server_compute_s: float
    server_share: float
    in_flight: int
    accepted: int
    answered: int
    failed: int
    sent_bytes: int
