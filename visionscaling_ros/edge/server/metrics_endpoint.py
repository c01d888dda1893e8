"""The address where Prometheus fetches the metrics: one page, over plain HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from visionscaling_ros.edge.address import format_address
from visionscaling_ros.errors import EdgeError

# For a request to arrive and its answer to leave; a scrape takes milliseconds.
PATIENCE_S = 3.0
MOST_CONNECTIONS = 8
MOST_REQUEST_BYTES = 8 << 10
CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'


class MetricsEndpoint:
    """Answers ``GET /metrics`` in the server's own loop.

    The endpoint of prometheus_client starts a thread for whoever connects and waits for ever.

    :param text: makes the page.
    :param port: 0 takes a free one.
    """

    def __init__(self, text: Callable[[], bytes], *, host: str, port: int) -> None:
        self._text = text
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._connections = 0

    @property
    def address(self) -> str:
        """``host:port``, the port being the real one once started."""
        return format_address(self._host, self._port)

    async def start(self) -> None:
        """Listen; raises EdgeError."""
        try:
            self._server = await asyncio.start_server(
                self._answer, self._host, self._port, limit=MOST_REQUEST_BYTES
            )
        except (OSError, ValueError) as error:  # ValueError: a name that none can have
            reason = getattr(error, 'strerror', None) or error
            raise EdgeError(f'cannot listen on {self.address} for metrics: {reason}') from error
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close it."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= MOST_CONNECTIONS:
                await asyncio.wait_for(self._exchange(reader, writer), PATIENCE_S)
        except (asyncio.TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # whoever it was asks again
        except (asyncio.LimitOverrunError, ValueError):
            pass  # no HTTP
        finally:
            self._connections -= 1
            with contextlib.suppress(RuntimeError):  # the loop ends
                writer.transport.abort() if writer.is_closing() else writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b'\r\n\r\n')
        words = head.split(b'\r\n', 1)[0].split()
        if len(words) != 3 or not words[2].startswith(b'HTTP/1.'):
            status, body = '400 Bad Request', b'no HTTP/1.1\n'
        elif words[0] != b'GET':
            status, body = '405 Method Not Allowed', b'GET only\n'
        elif words[1].partition(b'?')[0] != b'/metrics':
            status, body = '404 Not Found', b'the metrics are at /metrics\n'
        else:
            status, body = '200 OK', self._text()
        writer.write(
            f'HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\n'
            f'Content-Length: {len(body)}\r\nConnection: close\r\n\r\n'.encode()
            + body
        )
        await writer.drain()
