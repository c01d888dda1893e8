"""The embedded inference server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any

import grpc.aio

from visionscaling_ros.edge.address import format_address
from visionscaling_ros.edge.server.authenticator import Authenticator
from visionscaling_ros.edge.server.connection_guard import ConnectionGuard
from visionscaling_ros.edge.server.file_limit import reserve_files
from visionscaling_ros.edge.server.health_service import HealthService
from visionscaling_ros.edge.server.memory_return import return_free_memory
from visionscaling_ros.edge.server.metrics_endpoint import MetricsEndpoint
from visionscaling_ros.edge.server.model_runner import ModelRunner
from visionscaling_ros.edge.server.request_gate import RequestGate
from visionscaling_ros.edge.server.scheduler import Scheduler
from visionscaling_ros.edge.server.server_limits import ServerLimits
from visionscaling_ros.edge.server.server_metrics import ServerMetrics
from visionscaling_ros.edge.server.server_security import CertificateLoader, ServerSecurity
from visionscaling_ros.edge.server.server_statistics import ServerStatistics
from visionscaling_ros.edge.server.service import InferenceService
from visionscaling_ros.edge.server.small_requests import SmallRequests
from visionscaling_ros.errors import EdgeError, InvalidValueError, VisionScalingError

_logger = logging.getLogger(__name__)

# How long requests that are under way may take when the server is told to stop, and how long
# their replies then may take to leave.
DRAIN_S = 5.0
SEND_S = 1.0
SWEEP_PERIOD_S = 0.5
SWEEPS_PER_RETURN = 10


class EdgeServer:
    """Serves ``runner`` on ``host:port``; port 0 takes a free one.

    Raises InvalidValueError for a file of ``security`` that cannot be used, a host that others can
    reach without protection, or more models than allowed.

    :param security: None: whoever reaches it may use it.
    :param metrics_port: where Prometheus finds the metrics; 0 takes a free one, None: nowhere.
    :param scheduling: max_jobs, max_batch, batch_delay_s, workers: see :class:`Scheduler`.
    """

    def __init__(
        self,
        runner: ModelRunner,
        *,
        host: str = '127.0.0.1',
        port: int = 8001,
        limits: ServerLimits | None = None,
        security: ServerSecurity | None = None,
        metrics_host: str = '127.0.0.1',
        metrics_port: int | None = None,
        max_batch: int = 8,
        **scheduling: Any,
    ) -> None:
        self._limits = limits or ServerLimits()
        self._security = security or ServerSecurity()
        if len(runner.model_names) > self._limits.models:
            raise InvalidValueError('models', len(runner.model_names), f'<= {self._limits.models}')
        self._exposed = self._security.check_exposure(host)
        self._robots = self._security.robots()
        self._certificates = CertificateLoader(self._security) if self._security.uses_tls else None
        self._runner = runner
        self._host = host
        self._port = port
        self._max_batch = max_batch
        self._scheduler = Scheduler(runner, max_batch=max_batch, **scheduling)
        self._gate = RequestGate(self._limits)
        self._authenticator = Authenticator(
            self._robots, certificates=self._security.client_ca_file is not None
        )
        self.statistics = ServerStatistics(robots=self._limits.robots)
        self._requests = SmallRequests(self._authenticator, self._limits, self._note_request)
        self._health = HealthService(self._requests)
        self._guard: ConnectionGuard | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._server: grpc.aio.Server | None = None
        self._metrics: MetricsEndpoint | None = None
        if metrics_port is not None:
            metrics = ServerMetrics(self.statistics, self._gauges(), self._robot_compute_s)
            self._metrics = MetricsEndpoint(metrics.text, host=metrics_host, port=metrics_port)

    @property
    def address(self) -> str:
        """``host:port``, the port being the real one once started."""
        return format_address(self._host, self._port)

    @property
    def metrics_address(self) -> str | None:
        """``host:port`` of the metrics, None where there are none."""
        return None if self._metrics is None else self._metrics.address

    async def start(self) -> None:
        """Warm up, then listen; raises EdgeError if the address cannot be listened on."""
        _check_free(self._host, self._port)
        if self._exposed:
            _logger.warning('%s', self._exposed)
        reserve_files(self._limits.connections)
        await self._scheduler.warm_up()
        # Two servers on one port would share its connections instead of the second failing.
        options = [('grpc.so_reuseport', 0), *self._limits.channel_options()]
        self._server = grpc.aio.server(options=options)
        try:
            if self._certificates is None:
                self._port = self._server.add_insecure_port(self.address)
            else:
                credentials = self._certificates.credentials()
                self._port = self._server.add_secure_port(self.address, credentials)
            if self._metrics is not None:
                await self._metrics.start()
        except EdgeError:
            await self.stop()
            raise
        except RuntimeError as error:
            await self.stop()
            raise EdgeError(f'cannot listen on {self.address}: {error}') from error
        self._guard = ConnectionGuard(self._port, self._limits)
        services = (self._service().handlers(), self._health.handlers())
        self._server.add_generic_rpc_handlers(services)
        await self._server.start()
        self._sweeping = asyncio.create_task(self._sweep(self._guard))

    async def stop(self, drain_s: float = DRAIN_S) -> None:
        """Refuse new requests, finish those under way (at most ``drain_s``), free everything."""
        self._gate.close()
        self._health.end()
        await asyncio.to_thread(self._scheduler.close, drain_s)
        if self._server is not None:
            await self._server.stop(SEND_S)
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._metrics is not None:
            await self._metrics.stop()

    def reload(self) -> None:
        """Read tokens and certificates again; those that cannot be used are left as they were."""
        for loaded in (self._robots, self._certificates):
            try:
                if loaded is not None:
                    loaded.reload()
            except VisionScalingError as error:
                _logger.warning('not reloaded, the former stays: %s', error)

    def serve(self, on_ready: Callable[[str], None]) -> None:
        """Serve until SIGTERM or SIGINT; ``on_ready`` gets the address once requests are accepted.

        A second signal ends the process at once; SIGHUP reloads. Call it from the main thread.
        Raises EdgeError as :meth:`start` does.
        """
        asyncio.run(self._serve(on_ready))

    async def _serve(self, on_ready: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        numbers = (signal.SIGTERM, signal.SIGINT)

        def end() -> None:
            stop.set()
            for number in numbers:  # back to what ends a process at once
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)

        for number in numbers:
            loop.add_signal_handler(number, end)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        try:
            await self.start()
            if not stop.is_set():
                on_ready(self.address)
            await stop.wait()
        finally:
            await self.stop()

    def _note_request(self, peer: str) -> None:
        if self._guard is not None:
            self._guard.note_request(peer)

    def _service(self) -> InferenceService:
        return InferenceService(
            self._runner,
            self._scheduler,
            max_batch=self._max_batch,
            limits=self._limits,
            authenticator=self._authenticator,
            statistics=self.statistics,
            gate=self._gate,
            requests=self._requests,
            note_request=self._note_request,
        )

    async def _sweep(self, guard: ConnectionGuard) -> None:
        for sweeps in itertools.count(1):
            await asyncio.sleep(SWEEP_PERIOD_S)
            with contextlib.suppress(OSError):  # no file to spare: the next time
                guard.sweep()
            if sweeps % SWEEPS_PER_RETURN == 0:
                await asyncio.to_thread(return_free_memory)

    def _robot_compute_s(self) -> dict[str, float]:
        robots = self._scheduler.snapshot().robots
        return {robot: counters.compute_s for robot, counters in robots.items()}

    def _gauges(self) -> tuple[tuple[str, str, Callable[[], Mapping[str, float]]], ...]:
        def connections() -> dict[str, float]:
            return {'': 0 if self._guard is None else self._guard.count}

        def closed() -> dict[str, float]:
            return {'': 0 if self._guard is None else self._guard.closed}

        def ready() -> dict[str, float]:
            return {name: float(not self._gate.closed) for name in self._runner.model_names}

        def queued() -> dict[str, float]:
            waiting = self._scheduler.snapshot().queued
            return {name: waiting.get(name, 0) for name in self._runner.model_names}

        return (
            ('connections', 'connections open', connections),
            ('connections_shut_down', 'connections closed for breaking limits', closed),
            ('model_ready', 'whether a model takes requests', ready),
            ('queue_length', 'requests that wait', queued),
        )


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
    except (OSError, ValueError) as error:  # ValueError: a name that none can have
        reason = getattr(error, 'strerror', None) or error
        raise EdgeError(f'cannot listen on {format_address(host, port)}: {reason}') from error
