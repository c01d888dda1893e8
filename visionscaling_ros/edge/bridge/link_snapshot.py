"""The way to the edge server at one moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LinkReading:
    """What is known of the link to one server.

    Units and meaning as in ``msg/LinkState.msg``; NaN: not known. ``goodput_bps``,
    ``server_queue_s`` and ``server_compute_s`` cover the time since the previous reading.
    """

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


@dataclass(frozen=True, kw_only=True)
class LinkSnapshot(LinkReading):
    """The reading of the server in use, and the books of the bridge since it was made."""

    server: str
    server_rank: int
    reachable: bool
    circuit: str
    tx_rate_bps: float
    in_flight: int
    accepted: int
    answered: int
    failed: int
    sent_bytes: int
