"""The client's side of the helper's socket."""

from __future__ import annotations

import errno
import os
import socket
import struct
from pathlib import Path
from typing import Any

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clockd.protocol import (
    MAX_REPLY_BYTES,
    ProtocolError,
    encode,
    parse_message,
)

TIMEOUT_S = 2.0
_TIMEOUT = struct.pack('ll', int(TIMEOUT_S), 0)  # struct timeval: socket(7)
INSTALL = 'sudo "$(command -v visionscaling)" clocks install-helper'
START = 'sudo systemctl restart visionscaling-clockd'


class HelperRefusedError(HardwareError):
    """The helper answered, and the answer is no."""


class HelperLink:
    """A connection to the helper, made when it is first needed. For one thread.

    What the helper has set for a connection it undoes when that ends.
    """

    def __init__(self, socket_path: Path) -> None:
        self.socket_path = socket_path
        self._socket: socket.socket | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._socket is not None

    def ask(self, **request: object) -> dict[str, Any]:
        """Send a request and return what the helper answers.

        Raises HelperRefusedError when it refuses, HardwareError when it cannot be asked: then
        the connection is closed, and the next request opens another.
        """
        link = self._socket or self._connect()
        self._socket = link
        try:
            link.sendall(encode(request))
            reply = parse_message(_receive_line(link), MAX_REPLY_BYTES)
        except (OSError, ProtocolError) as error:
            self.close()
            why = 'no answer in time' if isinstance(error, TimeoutError) else error
            raise HardwareError(
                f'the helper at {self.socket_path} ended the connection ({why}), and what it had '
                'set is given back; the next request asks it again'
            ) from error
        if reply.get('ok') is not True:
            raise HelperRefusedError(f'the helper refused: {reply.get("error", "no reason given")}')
        return reply

    def close(self) -> None:
        """End the connection, if there is one."""
        link, self._socket = self._socket, None
        if link is not None:
            link.close()

    def _connect(self) -> socket.socket:
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # not settimeout: that would not wait for a place in the queue of a busy helper
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEOUT)
        try:
            link.connect(str(self.socket_path))
            link.settimeout(TIMEOUT_S)
        except OSError as error:
            link.close()
            raise HardwareError(_why_unreachable(self.socket_path, error)) from error
        return link


def _receive_line(link: socket.socket) -> bytes:
    received = b''
    while not received.endswith(b'\n') and len(received) < MAX_REPLY_BYTES:
        part = link.recv(MAX_REPLY_BYTES - len(received))
        if not part:
            raise ConnectionResetError(errno.ECONNRESET, 'closed by the helper')
        received += part
    return received


def _why_unreachable(path: Path, error: OSError) -> str:
    if error.errno == errno.EACCES:
        return (
            f'user {os.getuid()} may not connect to the helper at {path}: join its group with '
            'sudo usermod -aG visionscaling "$USER", then log in again'
        )
    if error.errno == errno.ENOENT:
        return f'there is no helper at {path}: install it with {INSTALL}, or start it: {START}'
    if error.errno == errno.ECONNREFUSED:
        return f'the helper at {path} does not run: start it with {START}'
    return f'the helper at {path} cannot be asked ({error.strerror or error}): try {START}'
