"""Names of the other end of a connection."""

from __future__ import annotations

import ipaddress
from urllib.parse import unquote

_MAPPED = '::ffff:'


def parse_peer(peer: str) -> tuple[str, int]:
    """Host and port of gRPC's ``ipv4:HOST:PORT`` or ``ipv6:%5BHOST%5D:PORT``; port 0 for others."""
    kind, _, rest = unquote(peer).partition(':')
    host, _, port = rest.rpartition(':')
    if kind not in ('ipv4', 'ipv6') or not port.isdecimal():
        return peer, 0
    return plain_host(host.strip('[]')), int(port)


def plain_host(host: str) -> str:
    """As it is compared: without the interface behind %, which gRPC names and sockets do not.

    An IPv4 address that is written as an IPv6 one is taken as such.
    """
    host = host.partition('%')[0]
    return host.removeprefix(_MAPPED) if host.startswith(_MAPPED) and '.' in host else host


def address_group(host: str) -> str:
    """What limits per address count by: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        address = ipaddress.ip_address(plain_host(host))
    except ValueError:
        return host
    if address.version == 4:
        return host
    return str(ipaddress.ip_network((int(address), 64), strict=False).network_address)
