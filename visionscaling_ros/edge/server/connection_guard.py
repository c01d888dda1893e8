"""Closes connections that take places and do nothing with them."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from visionscaling_ros.edge.server.peer import address_group, parse_peer, plain_host
from visionscaling_ros.edge.server.server_limits import ServerLimits

# Of Linux: every file this process has open, by number.
_OPEN_FILES = Path('/proc/self/fd')


@dataclass
class _Connection:
    peer: tuple[str, int]
    since_s: float
    used: bool = False


class ConnectionGuard:
    """Watches the connections to one port of this process; for the server's loop only.

    gRPC limits how many there are, but not how many of one address, and a peer that says hello and
    then nothing keeps its place. The sockets are gRPC's own: they are found among the files of the
    process and shut down, upon which gRPC closes them.
    """

    def __init__(
        self, port: int, limits: ServerLimits, *, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._port = port
        self._limits = limits
        self._clock_s = clock_s
        self._connections: dict[int, _Connection] = {}
        self._used: set[tuple[str, int]] = set()
        self.closed = 0

    @property
    def count(self) -> int:
        """Connections open at the last sweep."""
        return len(self._connections)

    def note_request(self, peer: str) -> None:
        """A request of ``peer`` (as gRPC names it) was let in: its connection is in use."""
        self._used.add(parse_peer(peer))

    def sweep(self) -> None:
        """Look at all connections; shut down those that are against the limits."""
        now_s = self._clock_s()
        found: dict[int, _Connection] = {}
        bad: list[int] = []
        per_address: Counter[str] = Counter()
        sockets = dict(self._sockets())
        # the oldest first: newer ones do not push them out
        for inode in sorted(sockets, key=lambda i: self._since_s(i, now_s)):
            connection = self._connections.get(inode) or _Connection(sockets[inode], now_s)
            connection.used = connection.used or connection.peer in self._used
            found[inode] = connection
            address = address_group(connection.peer[0])
            per_address[address] += 1
            silent = (
                not connection.used and now_s - connection.since_s > self._limits.first_request_s
            )
            if silent or per_address[address] > self._limits.connections_per_address:
                bad.append(inode)
        self._connections = found
        self._used &= {connection.peer for connection in found.values()}
        self._shut_down(set(bad))

    def _since_s(self, inode: int, now_s: float) -> float:
        known = self._connections.get(inode)
        return now_s if known is None else known.since_s

    def _sockets(self) -> Iterator[tuple[int, tuple[str, int]]]:
        """Inode and peer of every connection to the port."""
        for number, inode in _open_sockets():
            known = self._connections.get(inode)
            if known is not None:
                yield inode, known.peer
                continue
            with _borrowed(number) as connection, contextlib.suppress(OSError, IndexError):
                # other sockets are not connected, or no TCP, or gone
                if connection is not None and connection.getsockname()[1] == self._port:
                    host, port = connection.getpeername()[:2]
                    yield os.fstat(connection.fileno()).st_ino, (plain_host(host), port)

    def _shut_down(self, inodes: set[int]) -> None:
        for number, inode in _open_sockets() if inodes else ():
            if inode not in inodes:
                continue
            with _borrowed(number) as connection, contextlib.suppress(OSError):
                # asked again: the number may be another file's by now
                if connection is not None and os.fstat(connection.fileno()).st_ino == inode:
                    connection.shutdown(socket.SHUT_RDWR)
                    self.closed += 1


def _open_sockets() -> Iterator[tuple[int, int]]:
    """Number and inode of every socket of this process."""
    for name in os.listdir(_OPEN_FILES):
        with contextlib.suppress(OSError):
            status = os.stat(int(name))
            if stat.S_ISSOCK(status.st_mode):
                yield int(name), status.st_ino


@contextlib.contextmanager
def _borrowed(number: int) -> Iterator[socket.socket | None]:
    """A socket of this process under a number of its own, which is given back; None: gone."""
    try:
        own = os.dup(number)
    except OSError:
        yield None
        return
    try:
        connection = socket.socket(fileno=own)
    except OSError:
        os.close(own)
        yield None
        return
    with connection:
        yield connection
