"""The bytes of one connection in one direction of a shaped link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from visionscaling_ros.edge.link.link_outage import Outage
from visionscaling_ros.edge.link.link_path import PACKET_BYTES, LinkPath

# A packet without data, such as the one that closes a connection.
END_BYTES = 40


class LinkFlow:
    """Copies ``source`` to ``sink`` no faster than ``path`` says, in order, to its end.

    :param clock: seconds since the link's start.
    :param rto_s: retransmission timeout of the connection [s].
    """

    def __init__(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        *,
        path: LinkPath,
        outage: Outage,
        clock: Callable[[], float],
        rto_s: float,
    ) -> None:
        self._source = source
        self._sink = sink
        sink.transport.set_write_buffer_limits(0)  # wait for what is written, the sender has to too
        self._path = path
        self._outage = outage
        self._clock = clock
        self._rto_s = rto_s
        self._offered: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(path.queue_packets)
        self._under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(path.window_packets)

    async def run(self) -> None:
        """Until the source's end has been passed on; raises OSError when the sink is gone."""
        stages = [asyncio.ensure_future(stage()) for stage in (self._take, self._carry)]
        try:
            await self._deliver()
        finally:
            for stage in stages:
                stage.cancel()
            await asyncio.gather(*stages, return_exceptions=True)

    async def _take(self) -> None:
        """Read what is sent, no more than the queue holds; its end is an empty packet."""
        data = b'.'
        while data:
            try:
                data = await self._source.read(PACKET_BYTES)
            except OSError:
                data = b''
            await self._offered.put((self._clock(), data))

    async def _carry(self) -> None:
        """Send each packet when it is its turn.

        One starts when it was read or when the one before it has left, not when this task wakes
        up for it, so that late wake-ups do not add up.
        """
        arrived_s = 0.0
        while True:
            offered_s, data = await self._offered.get()
            start_s, size_bytes = offered_s, max(END_BYTES, len(data))
            while True:
                start_s = max(start_s, await self._wait_for_link(offered_s))
                left_s = self._path.carry(start_s, size_bytes)
                await self._sleep_until(left_s)
                if not self._outage.is_on(self._clock()):
                    break
            arrival_s = self._path.arrival_s(left_s, size_bytes, self._offered.qsize())
            arrived_s = max(arrived_s, arrival_s)
            await self._under_way.put((arrived_s, data))

    async def _wait_for_link(self, offered_s: float) -> float:
        """When the latest outage let this connection go on; the start if there was none."""
        resumed_s = 0.0
        while self._outage.is_on(self._clock()):
            resumed_s = self._outage.resumes_s(offered_s, self._clock(), self._rto_s)
            await self._sleep_until(resumed_s)
        return resumed_s

    async def _deliver(self) -> None:
        while True:
            arrived_s, data = await self._under_way.get()
            await self._sleep_until(arrived_s)
            if not data:
                self._sink.write_eof()
                return
            self._sink.write(data)
            await self._sink.drain()

    async def _sleep_until(self, time_s: float) -> None:
        if (left_s := time_s - self._clock()) > 0.0:  # else catch up
            await asyncio.sleep(left_s)
