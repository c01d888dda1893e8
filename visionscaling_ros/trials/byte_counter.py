"""What arrives at the far end of an uplink, and when."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from typing import NamedTuple

import numpy as np

from visionscaling_ros.edge.address import format_address, parse_address

_CHUNK_BYTES = 64 << 10


class Arrival(NamedTuple):
    """So many bytes had arrived at a time of the monotonic clock [s]."""

    at_s: float
    bytes: int


class ByteCounter:
    """Forwards connections to ``to`` in a thread and notes every arrival on the way there.

    Use as a context manager.
    """

    def __init__(self, to: str) -> None:
        self._to = parse_address(to)
        self._listener = socket.create_server(('127.0.0.1', 0))
        self._stop, self._stopped = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._arrivals: list[Arrival] = [Arrival(time.monotonic(), 0)]
        self._thread = threading.Thread(target=self._work, name='byte-counter', daemon=True)

    @property
    def address(self) -> str:
        """``host:port`` it listens on."""
        return format_address(*self._listener.getsockname())

    def __enter__(self) -> ByteCounter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.close()
        self._thread.join()

    def arrived_bytes(self, at_s: float) -> int:
        """What had arrived at ``at_s`` of the monotonic clock."""
        times_s = [arrival.at_s for arrival in self._arrivals]
        index = int(np.searchsorted(times_s, at_s, side='right')) - 1
        return self._arrivals[max(0, index)].bytes

    def _work(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._stopped, selectors.EVENT_READ)
        ends: dict[socket.socket, tuple[socket.socket, bool]] = {}
        with contextlib.ExitStack() as opened:
            opened.callback(self._selector.close)
            opened.enter_context(self._stopped)
            opened.enter_context(self._listener)
            while True:
                for key, _ in self._selector.select():
                    if key.fileobj is self._stopped:
                        return
                    if key.fileobj is self._listener:
                        near = opened.enter_context(self._listener.accept()[0])
                        far = opened.enter_context(socket.create_connection(self._to))
                        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        ends[near], ends[far] = (far, True), (near, False)
                        for end in (near, far):
                            self._selector.register(end, selectors.EVENT_READ)
                    elif isinstance(key.fileobj, socket.socket):
                        self._copy(key.fileobj, *ends[key.fileobj])

    def _copy(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        try:
            data = source.recv(_CHUNK_BYTES)
            if data and counted:
                total_bytes = self._arrivals[-1].bytes + len(data)
                self._arrivals.append(Arrival(time.monotonic(), total_bytes))
            if data:
                sink.sendall(data)
                return
        except OSError:
            pass
        self._selector.unregister(source)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
