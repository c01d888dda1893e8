"""Ends a loop from a signal handler or another thread."""

from __future__ import annotations

import select
import socket


class StopSwitch:
    """Thrown once, it stays so; its file becomes readable then."""

    def __init__(self) -> None:
        self.thrown = False
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """For selectors."""
        return self._reader.fileno()

    def throw(self) -> None:
        """End the loop; it takes no lock, so that a signal handler may do it."""
        if not self.thrown:
            self.thrown = True
            self._writer.send(b'\0')

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is thrown or the time is over; whether it is thrown."""
        select.select([self._reader], [], [], timeout_s)
        return self.thrown
