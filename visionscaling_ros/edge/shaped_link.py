"""A slow, changing uplink on one machine: a TCP proxy that delivers no faster than a trace says."""

from __future__ import annotations

import asyncio
import socket

from visionscaling_ros.edge.address import format_address
from visionscaling_ros.edge.trace import LinkTrace
from visionscaling_ros.errors import EdgeError

# Small enough that the sender soon feels the link instead of filling buffers of megabytes.
SOCKET_BUFFER_BYTES = 16 << 10
CHUNK_BYTES = 1460
QUEUED_CHUNKS = 4

_Chunk = tuple[float, bytes]


class ShapedLink:
    """Forwards connections on ``listen`` to ``target``; towards the target by ``trace``.

    All connections share the one uplink; the way back is not shaped. The trace starts with
    :meth:`start`. When either end of a connection closes, so does the other; a target that cannot
    be reached closes the connection at once. Port 0 listens on a free one.
    """

    def __init__(self, listen: tuple[str, int], target: tuple[str, int], trace: LinkTrace) -> None:
        self._listen = listen
        self._target = target
        self._trace = trace
        self._started_s = 0.0
        self._busy_until_s = 0.0  # on the trace's clock
        self._uplink = asyncio.Lock()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """``host:port`` it listens on, the port being the real one once started."""
        return format_address(*self._listen)

    async def start(self) -> None:
        """Listen; raises EdgeError if that is not possible."""
        loop = asyncio.get_running_loop()
        host, port = self._listen
        try:
            family, _, _, _, address = (
                await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            )[0]
            listener = _small_socket(family)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
            except OSError:
                listener.close()
                raise
            self._server = await asyncio.start_server(
                self._accept, sock=listener, limit=CHUNK_BYTES
            )
        except OSError as error:
            raise EdgeError(f'cannot listen on {self.address}: {error.strerror}') from error
        self._listen = (host, listener.getsockname()[1])
        self._started_s = loop.time()

    async def stop(self) -> None:
        """Close the listener and every connection."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, robot: asyncio.StreamReader, to_robot: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections.add(connection)
        try:
            await self._forward(robot, to_robot)
        except (OSError, asyncio.CancelledError):
            pass  # a connection that ends is no error of the link's
        finally:
            self._connections.discard(connection)
            to_robot.transport.abort()

    async def _forward(self, robot: asyncio.StreamReader, to_robot: asyncio.StreamWriter) -> None:
        server, to_server = await self._connect()
        queue: asyncio.Queue[_Chunk] = asyncio.Queue(QUEUED_CHUNKS)
        upstream = [
            asyncio.ensure_future(self._take(robot, queue)),
            asyncio.ensure_future(self._deliver(queue, to_server)),
        ]
        try:
            await _copy(server, to_robot)  # until the server closes, or has to
        finally:
            for task in upstream:
                task.cancel()
            await asyncio.gather(*upstream, return_exceptions=True)
            to_server.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        family, _, _, _, address = (await loop.getaddrinfo(*self._target, type=socket.SOCK_STREAM))[
            0
        ]
        connecting = _small_socket(family)
        try:
            connecting.setblocking(False)
            await loop.sock_connect(connecting, address)
        except BaseException:
            connecting.close()
            raise
        return await asyncio.open_connection(sock=connecting)

    async def _take(self, robot: asyncio.StreamReader, queue: asyncio.Queue[_Chunk]) -> None:
        """Read what the robot sends, no more than the queue holds; its end is an empty chunk."""
        loop = asyncio.get_running_loop()
        data = b'.'
        while data:
            try:
                data = await robot.read(CHUNK_BYTES)
            except OSError:
                data = b''
            await queue.put((loop.time() - self._started_s, data))

    async def _deliver(self, queue: asyncio.Queue[_Chunk], to_server: asyncio.StreamWriter) -> None:
        """Pass each chunk on when the link has carried it.

        A chunk starts when it was read or when the one before it is through, not when this task
        wakes up for it, so that late wake-ups do not add up.
        """
        loop = asyncio.get_running_loop()
        while True:
            read_s, data = await queue.get()
            if not data:
                to_server.write_eof()
                return
            async with self._uplink:
                start_s = max(self._busy_until_s, read_s)
                self._busy_until_s = self._trace.finish_s(start_s, 8.0 * len(data))
                done_s = self._busy_until_s
            await asyncio.sleep(done_s - (loop.time() - self._started_s))
            to_server.write(data)
            await to_server.drain()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(CHUNK_BYTES):
        sink.write(data)
        await sink.drain()


def _small_socket(family: int) -> socket.socket:
    """A TCP socket with small buffers; they count only if set before listening or connecting."""
    small = socket.socket(family, socket.SOCK_STREAM)
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
    small.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
    small.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return small
