"""A slow, changing, failing link on one machine: a TCP proxy that delivers as the link would."""

from __future__ import annotations

import asyncio
import random
import socket
import struct

from visionscaling_ros.edge.address import format_address
from visionscaling_ros.edge.link.link_flow import LinkFlow
from visionscaling_ros.edge.link.link_outage import SYN_RTO_S, Outage
from visionscaling_ros.edge.link.link_path import PACKET_BYTES, LinkConditions, LinkPath
from visionscaling_ros.edge.link.trace import LinkTrace
from visionscaling_ros.errors import EdgeError

# Small enough that the sender soon feels the link instead of filling buffers of megabytes.
SOCKET_BUFFER_BYTES = 16 << 10
# Closing a socket that lingers for 0 s resets its connection.
_RESET_ON_CLOSE = struct.pack('ii', 1, 0)


class ShapedLink:
    """Forwards connections on ``listen`` to ``to``; towards there by ``trace``.

    All connections share the one link. The trace starts with :meth:`start`. When either end of a
    connection closes, so does the other; where ``to`` cannot be reached the connection is reset.
    Port 0 listens on a free one; of a host name the first address is listened on, and every
    address is tried to connect to. All methods belong to the event loop's thread.

    :param downlink: the same for the way back; None: no limit.
    :param delay_s, jitter_s, loss: see :class:`LinkConditions`; they hold for both ways.
    :param seed: of jitter and loss.
    """

    def __init__(
        self,
        listen: tuple[str, int],
        to: tuple[str, int],
        trace: LinkTrace,
        *,
        downlink: LinkTrace | None = None,
        delay_s: float = 0.0,
        jitter_s: float = 0.0,
        loss: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._listen = listen
        self._to = to
        self._conditions = LinkConditions(delay_s, jitter_s, loss)
        chance = random.Random(seed)
        self._up = LinkPath(trace, self._conditions, chance)
        self._down = LinkPath(downlink, self._conditions, chance)
        self._outage = Outage()
        self._started_s = 0.0
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}

    @property
    def address(self) -> str:
        """``host:port`` it listens on, the port being the real one once started."""
        return format_address(*self._listen)

    async def start(self) -> None:
        """Listen; raises EdgeError if that is not possible."""
        await self._open()
        self._started_s = asyncio.get_running_loop().time()

    async def stop(self) -> None:
        """Close the listener and every connection."""
        self._close()
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def stall(self, seconds: float) -> None:
        """Pass nothing for ``seconds``; what waits goes on afterwards."""
        self._outage.stall(self._clock(), seconds)

    def dead(self, seconds: float) -> None:
        """Lose everything for ``seconds``; connections go on with TCP's next retransmission."""
        self._outage.die(self._clock(), seconds)

    def reset(self) -> None:
        """Reset every connection, at both ends."""
        for connection, writers in self._connections.items():
            for writer in writers:
                _reset_when_closed(writer)
            connection.cancel()

    async def refuse(self, refused: bool) -> None:
        """Refuse new connections, or accept them again on the same port; raises EdgeError."""
        self._close()
        if not refused:
            await self._open()

    def redirect(self, to: tuple[str, int]) -> None:
        """Lead new connections to another server."""
        self._to = to

    def _clock(self) -> float:
        return asyncio.get_running_loop().time() - self._started_s

    async def _open(self) -> None:
        host, port = self._listen
        try:
            family, address = (await _resolve(host, port))[0]
            listener = _small_socket(family)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
            except OSError:
                listener.close()
                raise
            self._server = await asyncio.start_server(
                self._accept, sock=listener, limit=PACKET_BYTES
            )
        except OSError as error:
            raise EdgeError(f'cannot listen on {self.address}: {error.strerror}') from error
        self._listen = (host, listener.getsockname()[1])

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._server = None

    async def _accept(self, robot: asyncio.StreamReader, to_robot: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        writers = self._connections.setdefault(connection, [to_robot])
        try:
            await self._shake_hands()
            server, to_server = await self._connect()
            writers.append(to_server)
            await self._forward((robot, to_robot), (server, to_server))
        except OSError:  # a connection that breaks is no error of the link's
            _reset_when_closed(to_robot)
        except asyncio.CancelledError:
            pass
        finally:
            del self._connections[connection]
            for writer in writers:
                writer.transport.abort()

    async def _shake_hands(self) -> None:
        """A connection takes a round trip to open; where the link is away, as long as TCP tries."""
        accepted_s = self._clock()
        await asyncio.sleep(self._conditions.round_trip_s)
        while self._outage.is_on(now_s := self._clock()):
            opened_s = self._outage.resumes_s(accepted_s, now_s, SYN_RTO_S)
            await asyncio.sleep(opened_s - now_s)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        failure = OSError(f'{format_address(*self._to)} has no address')
        for family, address in await _resolve(*self._to):
            connecting = _small_socket(family)
            try:
                connecting.setblocking(False)
                await loop.sock_connect(connecting, address)
            except OSError as error:
                connecting.close()
                failure = error
            except BaseException:
                connecting.close()
                raise
            else:
                return await asyncio.open_connection(sock=connecting, limit=PACKET_BYTES)
        raise failure

    async def _forward(
        self,
        robot: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Both ways, until the server has closed, or has to."""
        up = asyncio.ensure_future(self._flow(robot[0], server[1], self._up).run())
        try:
            await self._flow(server[0], robot[1], self._down).run()
        finally:
            up.cancel()
            await asyncio.gather(up, return_exceptions=True)

    def _flow(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, path: LinkPath
    ) -> LinkFlow:
        return LinkFlow(
            source,
            sink,
            path=path,
            outage=self._outage,
            clock=self._clock,
            rto_s=self._conditions.rto_s,
        )


async def _resolve(host: str, port: int) -> list[tuple[int, tuple[object, ...]]]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def _reset_when_closed(writer: asyncio.StreamWriter) -> None:
    if not writer.transport.is_closing():
        connection: socket.socket = writer.get_extra_info('socket')
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


def _small_socket(family: int) -> socket.socket:
    """A TCP socket with small buffers; they count only if set before listening or connecting."""
    small = socket.socket(family, socket.SOCK_STREAM)
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
    small.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
    small.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return small
