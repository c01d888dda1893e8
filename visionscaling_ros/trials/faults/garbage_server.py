"""A TCP server that talks nonsense where an inference server should be."""

from __future__ import annotations

import os
import socketserver
import threading
from types import TracebackType

NONSENSE_BYTES = 4096


class GarbageServer:
    """Greets with random bytes and reads on; every other connection it closes at once.

    Use as a context manager; listens on a free port of this machine.
    """

    def __enter__(self) -> GarbageServer:
        self._server = _Server(('127.0.0.1', 0), _Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name='garbage-server')
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self) -> str:
        """``host:port`` it listens on."""
        return '{}:{}'.format(*self._server.server_address)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    connections = 0


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        """One connection."""
        self.server.connections += 1
        stays = self.server.connections % 2 == 1
        try:
            self.request.sendall(os.urandom(NONSENSE_BYTES))
            while stays and self.request.recv(NONSENSE_BYTES):
                self.request.sendall(os.urandom(NONSENSE_BYTES))
        except OSError:
            pass  # whoever was there has had enough
