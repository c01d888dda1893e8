"""One connection of gRPC's to the server, with every byte counted and paced on its way there."""

from __future__ import annotations

import contextlib
import fcntl
import selectors
import socket
import struct
import termios
import time

from visionscaling_ros.edge.bridge.dialer import Dialer
from visionscaling_ros.edge.bridge.pacer import Pacer
from visionscaling_ros.edge.bridge.wire_times import WireTimes

# Read, hold and write this much at a time.
CHUNK_BYTES = 16 << 10
HELD_BYTES = 4 * CHUNK_BYTES
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class RelayedConnection:
    """Copies between ``near`` (gRPC) and the server. Belongs to the uplink's thread.

    :param times: is told when bytes leave and arrive.
    :ivar received_s: when something last came from the server; at first: when it was accepted.
    :ivar problem: why it never reached the server or lost it; empty: it did not.
    """

    def __init__(self, near: socket.socket, pacer: Pacer, times: WireTimes) -> None:
        near.setblocking(False)
        self._near = near
        self._far: socket.socket | None = None
        self._dialer: Dialer | None = None
        self._pacer = pacer
        self._times = times
        self._up = bytearray()
        self._down = bytearray()
        self._far_ended = False
        self._unacknowledged_bytes = 0
        self._progress_s = 0.0
        self.received_s = time.monotonic()
        self.problem = ''
        self.closed = False

    @property
    def far(self) -> socket.socket | None:
        """The connection to the server, once there is one."""
        return self._far

    @property
    def waits_for_address(self) -> bool:
        """Whether :meth:`dial` is due."""
        return self._dialer is None and self._far is None and not self.closed

    def dial(self, dialer: Dialer) -> None:
        """Connect to the server."""
        self._dialer = dialer
        if dialer.pending is None:
            self._fail(dialer.problem)

    def interests(self) -> list[tuple[socket.socket, int]]:
        """What to wait for, and on which sockets."""
        wanted: dict[socket.socket, int] = {}
        if len(self._up) < HELD_BYTES:
            wanted[self._near] = READ
        if self._down:
            wanted[self._near] = wanted.get(self._near, 0) | WRITE
        if self._dialer is not None and self._dialer.pending is not None:
            wanted[self._dialer.pending] = WRITE
        if self._far is not None:
            events = 0 if self._down or self._far_ended else READ
            if self._up and self._hold_s() <= 0.0:
                events |= WRITE
            if events:
                wanted[self._far] = events
        return list(wanted.items())

    def wait_s(self, now_s: float) -> float | None:
        """When it is due although no socket says so [s from now]; None: never."""
        if self._dialer is not None and self._dialer.pending is not None:
            return max(0.0, self._dialer.give_up_s - now_s)
        if self._far is not None and self._up and (hold_s := self._hold_s()) > 0.0:
            return hold_s
        return None

    def step(self, ready: dict[socket.socket, int]) -> None:
        """Do what can be done now; ``ready``: the sockets that are, and for what."""
        try:
            if self._dialer is not None:
                self._connect()
            if ready.get(self._near, 0) & READ:
                self._read_near()
            if self._far is not None and not self.closed:
                self._send_up()
                if ready.get(self._far, 0) & READ:
                    self._read_far()
            if not self.closed:
                self._send_down()
        except OSError as error:
            self._fail((error.strerror or str(error)).lower())

    def stalled_s(self, now_s: float) -> float:
        """For how long nothing of what waits to leave has left [s]; 0: nothing waits."""
        if self._far is None or self.closed:
            return 0.0
        waiting_bytes = _unacknowledged_bytes(self._far)
        moved = waiting_bytes != self._unacknowledged_bytes
        self._unacknowledged_bytes = waiting_bytes
        if moved or self._pacer.holding or not (waiting_bytes or self._up):
            self._progress_s = now_s
        return now_s - self._progress_s

    def close(self) -> None:
        """Close both ends; what has not left is lost."""
        if self.closed:
            return
        self.closed = True
        if self._up:
            self._pacer.let_go()
        if self._dialer is not None:
            self._dialer.close()
        if self._far is not None:
            if self._up or _unacknowledged_bytes(self._far):
                # At once, with nothing left behind that the network would still have to carry.
                with contextlib.suppress(OSError):
                    linger = struct.pack('ii', 1, 0)
                    self._far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._far.close()
        self._near.close()

    def _fail(self, problem: str) -> None:
        self.problem = problem
        self.close()

    def _connect(self) -> None:
        assert self._dialer is not None
        self._far = self._dialer.step()
        if self._far is not None:
            self._dialer = None
            self._progress_s = time.monotonic()
        elif self._dialer.pending is None:
            self._fail(self._dialer.problem)

    def _read_near(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = self._near.recv(CHUNK_BYTES)
            self._up += data
            if not data:
                self.close()

    def _read_far(self) -> None:
        assert self._far is not None
        with contextlib.suppress(BlockingIOError):
            data = self._far.recv(4 * CHUNK_BYTES)
            self.received_s = self._times.received()
            if not data:
                self._far_ended = True
                self.problem = 'the server closed the connection'
            self._down += data

    def _send_up(self) -> None:
        assert self._far is not None
        while self._up and not self.closed:
            taken = self._pacer.take(min(len(self._up), CHUNK_BYTES))
            if taken == 0:
                return
            sent = 0
            with contextlib.suppress(BlockingIOError), memoryview(self._up) as waiting:
                sent = self._far.send(waiting[:taken])
            if sent < taken:
                self._pacer.give_back(taken - sent)
            if sent == 0:
                return
            del self._up[:sent]
            self._progress_s = self._times.sent()

    def _send_down(self) -> None:
        if self._down:
            with contextlib.suppress(BlockingIOError):
                del self._down[: self._near.send(self._down)]
        if self._far_ended and not self._down:
            self.close()

    def _hold_s(self) -> float:
        return self._pacer.hold_s(len(self._up))


def _unacknowledged_bytes(connection: socket.socket) -> int:
    """What the kernel has of it that the other end does not."""
    with contextlib.suppress(OSError):
        raw = fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4))
        return int(struct.unpack('i', raw)[0])
    return 0
