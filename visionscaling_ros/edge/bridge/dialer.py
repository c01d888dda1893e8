"""Finds and connects to a server without ever blocking the thread that asks."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from visionscaling_ros.edge.address import format_address

# How long one address may take to answer; a lost SYN is sent again after a second.
CONNECT_TIMEOUT_S = 1.5
# What the kernel may hold that the network has not taken: so that writable means progress.
NOT_SENT_BYTES = 16 << 10
_NOT_SENT_LOW_WATER = getattr(socket, 'TCP_NOTSENT_LOWAT', 25)

_Address = tuple[int, Any]


class Resolver:
    """Looks a host's addresses up in a thread of its own, one look-up at a time.

    What was found last is used again when the name service fails.
    """

    def __init__(self, host: str, port: int, on_done: Callable[[], None]) -> None:
        self._host = host
        self._port = port
        self._on_done = on_done
        self._busy = threading.Lock()
        self.addresses: list[_Address] = []
        self.problem = ''

    def start(self) -> None:
        """Look up; ``on_done`` is called from some thread. A numeric address needs no thread."""
        with contextlib.suppress(OSError, UnicodeError):
            self._look_up(socket.AI_NUMERICHOST)
            self._on_done()
            return
        if self._busy.acquire(blocking=False):
            self.problem = ''
            threading.Thread(target=self._work, name='edge-resolver', daemon=True).start()

    def _work(self) -> None:
        try:
            self._look_up(0)
        except OSError as error:
            self.problem = f'name {self._host!r} could not be resolved: {error.strerror or error}'
        except UnicodeError as error:
            self.problem = f'name {self._host!r} is no host name: {error}'
        finally:
            self._busy.release()
        self._on_done()

    def _look_up(self, flags: int) -> None:
        found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=flags)
        self.addresses = [(family, address) for family, _, _, _, address in found]
        self.problem = ''


class Dialer:
    """Tries one address after the other; :meth:`step` whenever its socket is writable or late."""

    def __init__(self, addresses: list[_Address]) -> None:
        self._left = list(addresses)
        self.problem = ''
        self.pending: socket.socket | None = None
        self.give_up_s = 0.0
        self._next()

    def step(self) -> socket.socket | None:
        """The connection once it is there. None: wait on, or, without ``pending``, it failed."""
        assert self.pending is not None
        code = self.pending.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0 and time.monotonic() < self.give_up_s:
            with contextlib.suppress(OSError):
                self.pending.getpeername()  # raises while it is still connecting
                connection, self.pending = self.pending, None
                return connection
            return None
        self._failed(code or errno.ETIMEDOUT)
        return None

    def close(self) -> None:
        """Give up."""
        if self.pending is not None:
            self.pending.close()
        self.pending = None

    def _failed(self, code: int) -> None:
        assert self.pending is not None
        self.problem = os.strerror(code).lower()
        self.close()
        self._next()

    def _next(self) -> None:
        while self.pending is None and self._left:
            family, address = self._left.pop(0)
            try:
                self.pending = _make_socket(family)
                self.give_up_s = time.monotonic() + CONNECT_TIMEOUT_S
                code = self.pending.connect_ex(address)
            except OSError as error:  # a family this machine does not speak, a port that is none
                code = error.errno or errno.EINVAL
            if code not in (0, errno.EINPROGRESS):
                where = format_address(*address[:2])
                self.problem = f'{where}: {os.strerror(code).lower()}'
                self.close()


def _make_socket(family: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(False)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with contextlib.suppress(OSError):  # not on every system
        made.setsockopt(socket.IPPROTO_TCP, _NOT_SENT_LOW_WATER, NOT_SENT_BYTES)
    return made
