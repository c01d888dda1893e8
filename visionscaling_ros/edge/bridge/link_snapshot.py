"""The way to the edge server at one moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LinkSnapshot:
    """Units and meaning as in ``msg/LinkState.msg``; NaN: not known.

    ``goodput_bps``, ``server_queue_s`` and ``server_compute_s`` cover the time since the previous
    snapshot; the counters run since the bridge was made. Estimates are of the server in use.
    """

    server: str
    server_rank: int
    reachable: bool
    circuit: str
    tx_rate_bps: float
    goodput_bps: float
    capacity_bps: float
    capacity_low_bps: float
    capacity_high_bps: float
    capacity_age_s: float
    rtt_s: float
    rtt_deviation_s: float
    loss: float
    loss_high: float
    server_queue_s: float
    server_compute_s: float
    server_share: float
    server_share_age_s: float
    in_flight: int
    accepted: int
    answered: int
    failed: int
    sent_bytes: int
