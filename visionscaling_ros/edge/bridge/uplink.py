"""The way out to one server, with every byte that leaves counted and paced.

gRPC has its sockets to itself, so it connects to a relay in this process instead (an abstract unix
socket, which no file and no other process gets at), and the relay's thread copies to the server.
Encryption stays between gRPC and the server. Costs about 0.1 ms a frame.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import selectors
import socket
import struct
import threading
import time

from visionscaling_ros.edge.address import parse_address
from visionscaling_ros.edge.bridge.dialer import Dialer, Resolver
from visionscaling_ros.edge.bridge.pacer import Pacer
from visionscaling_ros.edge.bridge.relayed_connection import READ, RelayedConnection
from visionscaling_ros.edge.bridge.tcp_info import TcpInfo, read_tcp_info
from visionscaling_ros.edge.bridge.wire_times import WireTimes

_logger = logging.getLogger(__name__)

# Bytes that have not moved for this long when a request times out are of no use to anyone.
STALLED_S = 0.5
AFTER_FAILURE_S = 0.1
_BACKLOG = 8
_CREDENTIALS = struct.Struct('3i')


class MeteredUplink:
    """A relay to ``address`` (``host:port``); raises InvalidValueError if that is none.

    :ivar times: when bytes left and arrived.
    """

    def __init__(self, address: str) -> None:
        self.times = WireTimes()
        host, port = parse_address(address)
        self._pacer = Pacer()
        self._resolver = Resolver(host, port, self._wake)
        self._connections: list[RelayedConnection] = []
        self._problem = ''
        self._closing = False
        self._drop_stuck = False
        self._drop_silent_since_s = -math.inf
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind('')  # the kernel finds a free name
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        name: bytes = self._listener.getsockname()
        self._target = f'unix-abstract:{name[1:].decode("ascii")}'
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._registered: dict[socket.socket, int] = {}
        self._pacer.attach(self._wake)
        self._thread = threading.Thread(target=self._work, name='edge-uplink', daemon=True)
        self._thread.start()

    @property
    def target(self) -> str:
        """What gRPC has to connect to."""
        return self._target

    @property
    def problem(self) -> str:
        """Why there is no connection to the server; empty: there is one, or none was wanted."""
        for connection in reversed(tuple(self._connections)):
            if connection.problem:  # just closed: gRPC may have heard of it before this thread
                return connection.problem
        return self._problem

    def attach(self, pacer: Pacer) -> None:
        """Connections made from now on keep to the pace of ``pacer`` and are counted there."""
        self._pacer.detach(self._wake)
        self._pacer = pacer
        pacer.attach(self._wake)

    def drop_stuck(self) -> None:
        """Give up connections with bytes that have not moved for STALLED_S (any thread)."""
        self._drop_stuck = True
        self._wake()

    def drop_silent(self, since_s: float) -> None:
        """Give up connections on which nothing came back since, unless bytes move (any thread)."""
        self._drop_silent_since_s = since_s
        self._wake()

    def tcp_info(self) -> TcpInfo | None:
        """The kernel's view of the newest connection; None: none, or it does not tell."""
        for connection in reversed(self._connections):
            if connection.far is not None and not connection.closed:
                return read_tcp_info(connection.far)
        return None

    def close(self) -> None:
        """Close everything and end the thread. Idempotent."""
        self._closing = True
        self._wake()
        self._thread.join()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: awake anyway; closed: nobody to wake
            self._waker.send(b'.')

    def _work(self) -> None:
        try:
            while not self._closing:
                try:
                    self._round()
                except Exception:  # a bug here must not end the way out for good
                    _logger.exception('edge uplink failed')
                    for connection in self._connections:
                        connection.close()
                    time.sleep(AFTER_FAILURE_S)
        finally:
            self._pacer.detach(self._wake)
            for connection in self._connections:
                connection.close()
            self._selector.close()
            for end in (self._listener, self._waker, self._woken):
                end.close()

    def _round(self) -> None:
        now_s = time.monotonic()
        waits_s = [wait_s for c in self._connections if (wait_s := c.wait_s(now_s)) is not None]
        self._register()
        events = self._selector.select(min(waits_s, default=None))
        ready = {key.fileobj: mask for key, mask in events}
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
        if self._listener in ready:
            self._accept()
        for connection in self._connections:
            if connection.waits_for_address:
                self._dial(connection)
            connection.step(ready)  # type: ignore[arg-type]
        self._drop()
        self._forget_closed()

    def _register(self) -> None:
        """Tell the selector only what changed: most rounds nothing does."""
        wanted = {self._listener: READ, self._woken: READ}
        for connection in self._connections:
            wanted.update(connection.interests())
        for known in [known for known in self._registered if known not in wanted]:
            del self._registered[known]
            self._selector.unregister(known)
        for end, events in wanted.items():
            if end not in self._registered:
                self._selector.register(end, events)
            elif self._registered[end] != events:
                self._selector.modify(end, events)
        self._registered = wanted

    def _accept(self) -> None:
        try:
            near, _ = self._listener.accept()
        except OSError:
            return
        peer = near.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(peer)[0] != os.getpid():
            near.close()
            return
        self._connections.append(RelayedConnection(near, self._pacer, self.times))
        self._resolver.start()

    def _dial(self, connection: RelayedConnection) -> None:
        if self._resolver.addresses:
            connection.dial(Dialer(self._resolver.addresses))
        elif self._resolver.problem:
            connection.problem = self._resolver.problem
            connection.close()

    def _drop(self) -> None:
        stuck, self._drop_stuck = self._drop_stuck, False
        since_s, self._drop_silent_since_s = self._drop_silent_since_s, -math.inf
        now_s = time.monotonic()
        for connection in self._connections:
            stalled_s = connection.stalled_s(now_s)
            silent = connection.received_s < since_s and not 0.0 < stalled_s <= STALLED_S
            if silent or (stuck and stalled_s > STALLED_S):
                connection.problem = 'nothing gets through'
                connection.close()

    def _forget_closed(self) -> None:
        for connection in [c for c in self._connections if c.closed]:
            self._connections.remove(connection)
            if connection.problem:
                self._problem = connection.problem
        if any(connection.far is not None for connection in self._connections):
            self._problem = ''
