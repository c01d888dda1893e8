"""The embedded inference server."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable

import grpc.aio
from tritonclient.grpc import service_pb2_grpc

from visionscaling_ros.edge.address import format_address
from visionscaling_ros.edge.compute_queue import ComputeQueue
from visionscaling_ros.edge.model_runner import ModelRunner
from visionscaling_ros.edge.protocol import MAX_MESSAGE_BYTES
from visionscaling_ros.edge.service import InferenceService
from visionscaling_ros.errors import EdgeError

# How long requests that are under way may take when the server is told to stop.
DRAIN_S = 3.0


class EdgeServer:
    """Serves ``runner`` on ``host:port``; port 0 takes a free one.

    :param max_jobs: requests held at most, further ones are refused.
    """

    def __init__(
        self,
        runner: ModelRunner,
        *,
        host: str = '127.0.0.1',
        port: int = 8001,
        max_jobs: int = 16,
    ) -> None:
        self._runner = runner
        self._host = host
        self._port = port
        self._max_jobs = max_jobs
        self._queue: ComputeQueue | None = None
        self._server: grpc.aio.Server | None = None

    @property
    def address(self) -> str:
        """``host:port``, the port being the real one once started."""
        return format_address(self._host, self._port)

    async def start(self) -> None:
        """Warm up, then listen; raises EdgeError if the address cannot be listened on."""
        _check_free(self._host, self._port)
        self._queue = ComputeQueue(self._runner, max_jobs=self._max_jobs)
        await self._queue.warm_up()
        options = [
            # Two servers on one port would share its connections instead of the second failing.
            ('grpc.so_reuseport', 0),
            ('grpc.max_receive_message_length', MAX_MESSAGE_BYTES),
            ('grpc.max_send_message_length', MAX_MESSAGE_BYTES),
            # Robots look for signs of life more often than gRPC's five minutes.
            ('grpc.http2.min_ping_interval_without_data_ms', 5_000),
        ]
        self._server = grpc.aio.server(options=options)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
            InferenceService(self._runner, self._queue), self._server
        )
        try:
            self._port = self._server.add_insecure_port(self.address)
        except RuntimeError as error:
            self._queue.close()
            raise EdgeError(f'cannot listen on {self.address}: {error}') from error
        await self._server.start()

    async def stop(self) -> None:
        """Refuse new requests, finish those under way (at most DRAIN_S), free everything."""
        if self._server is not None:
            await self._server.stop(DRAIN_S)
        if self._queue is not None:
            await asyncio.to_thread(self._queue.close)

    def serve(self, on_ready: Callable[[str], None]) -> None:
        """Serve until SIGTERM or SIGINT; ``on_ready`` gets the address once requests are accepted.

        Call it from the main thread. Raises EdgeError as :meth:`start` does.
        """
        asyncio.run(self._serve(on_ready))

    async def _serve(self, on_ready: Callable[[str], None]) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        try:
            await self.start()
            if not stop.is_set():
                on_ready(self.address)
            await stop.wait()
        finally:
            await self.stop()


def _check_free(host: str, port: int) -> None:
    """Say in one line what gRPC would say in several."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        raise EdgeError(
            f'cannot listen on {format_address(host, port)}: {error.strerror}'
        ) from error
