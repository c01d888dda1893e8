"""One client of the helper."""

from __future__ import annotations

import socket

from visionscaling_ros.hardware.clockd.peer import Peer
from visionscaling_ros.hardware.clockd.protocol import MAX_REQUEST_BYTES


class Session:
    """A connection with no more in memory than the room of one request, and one reply.

    :param connection: a connected socket; made not to block.
    :param deadline_s: when it is ended, unless a request came before (monotonic clock).
    """

    def __init__(self, connection: socket.socket, peer: Peer, deadline_s: float) -> None:
        connection.setblocking(False)
        self.peer = peer
        self.deadline_s = deadline_s
        self.watched = 0  # events its selector waits for
        self._connection = connection
        self._received = b''
        self._unsent = b''

    def fileno(self) -> int:
        """For selectors."""
        return self._connection.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether a reply waits for the client to read it; until then no request is taken."""
        return bool(self._unsent)

    @property
    def is_ready(self) -> bool:
        """Whether there is a request to take: a whole line, or more than one may be."""
        return b'\n' in self._received or len(self._received) >= MAX_REQUEST_BYTES

    def receive(self) -> bool:
        """Read what there is and fits, if not ``is_ready``; False when the client is gone."""
        try:
            part = self._connection.recv(MAX_REQUEST_BYTES - len(self._received))
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._received += part
        return bool(part)

    def take_request(self) -> bytes:
        """The next line; all there is when that is more than a line may be."""
        line, _, self._received = self._received.partition(b'\n')
        return line

    def reply(self, line: bytes) -> bool:
        """Send a reply, later what cannot be sent now; False when the client is gone."""
        self._unsent = line
        return self.send()

    def send(self) -> bool:
        """Send what is left of a reply; False when the client is gone."""
        try:
            sent = self._connection.send(self._unsent)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._unsent = self._unsent[sent:]
        return True

    def close(self) -> None:
        """End the connection."""
        self._connection.close()
