"""What the kernel knows of a TCP connection (Linux)."""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass

# The leading part of struct tcp_info (linux/tcp.h): 8 bytes, then 24 32-bit, 4 64-bit and 6 32-bit
# numbers.
_LAYOUT = struct.Struct('=8B24I4Q6I')
_RTT_US, _TOTAL_RETRANS, _DATA_SEGS_OUT = 8 + 15, 8 + 23, 8 + 24 + 4 + 5


@dataclass(frozen=True)
class TcpInfo:
    """Smoothed round trip of its packets, how many carried data, how many of those were repeats."""

    rtt_s: float
    segments: int
    retransmits: int


def read_tcp_info(connection: socket.socket) -> TcpInfo | None:
    """The state of ``connection``; None where the system does not tell."""
    if not hasattr(socket, 'TCP_INFO'):
        return None
    with contextlib.suppress(OSError):
        raw = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAYOUT.size)
        if len(raw) == _LAYOUT.size:
            fields = _LAYOUT.unpack(raw)
            return TcpInfo(1e-6 * fields[_RTT_US], fields[_DATA_SEGS_OUT], fields[_TOTAL_RETRANS])
    return None
