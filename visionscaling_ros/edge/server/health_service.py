"""The standard gRPC health service, for load balancers and process managers.

That of grpcio-health-checking receives whatever anybody sends, and waits, when the server ends, for
watchers that do not read.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from visionscaling_ros.edge.server.authenticator import Caller
from visionscaling_ros.edge.server.request_outcome import RequestOutcome, RequestRefusedError
from visionscaling_ros.edge.server.service import SERVICE, abort
from visionscaling_ros.edge.server.small_requests import SmallRequests

HEALTH_SERVICE = 'grpc.health.v1.Health'
MOST_WATCHERS = 32


class HealthService:
    """Asking once needs no token; staying to be told of changes does."""

    def __init__(self, requests: SmallRequests) -> None:
        self._requests = requests
        self._watchers = 0
        self._ending = asyncio.Event()

    def handlers(self) -> Any:
        """What the gRPC server is given."""
        to_bytes = health_pb2.HealthCheckResponse.SerializeToString
        methods = {
            'Check': grpc.stream_unary_rpc_method_handler(self.check, None, to_bytes),
            'Watch': grpc.stream_stream_rpc_method_handler(self.watch, None, to_bytes),
        }
        return grpc.method_handlers_generic_handler(HEALTH_SERVICE, methods)

    def end(self) -> None:
        """Say from now on that the server is about to end."""
        self._ending.set()

    async def check(self, _messages: Any, context: Any) -> Any:
        """How it is now."""
        try:
            caller = self._requests.sign_of_life(context)
            await self._check_service(context, caller)
            return self._status()
        except RequestRefusedError as error:
            refusal = error
        return await abort(context, refusal.code, str(refusal))

    async def watch(self, _messages: Any, context: Any) -> None:
        """Tell how it is and every change, as long as the caller listens."""
        try:
            caller = self._requests.known(context)
            await self._check_service(context, caller)
            self._check_watchers()
        except RequestRefusedError as error:
            await abort(context, error.code, str(error))
        self._watchers += 1
        try:
            if not self._ending.is_set():
                await context.write(self._status())
                await self._ending.wait()
            await context.write(self._status())
            await asyncio.Event().wait()  # until either end closes the connection
        finally:
            self._watchers -= 1

    async def _check_service(self, context: Any, caller: Caller) -> None:
        request = await self._requests.receive(context, caller, health_pb2.HealthCheckRequest)
        if request.service not in ('', SERVICE):
            raise RequestRefusedError(
                grpc.StatusCode.NOT_FOUND, RequestOutcome.INVALID, f'allowed: {SERVICE} or nothing'
            )

    def _check_watchers(self) -> None:
        if self._watchers >= MOST_WATCHERS:
            raise RequestRefusedError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                RequestOutcome.REFUSED_OVERLOAD,
                f'{MOST_WATCHERS} watch already, allowed: {MOST_WATCHERS}',
            )

    def _status(self) -> Any:
        ending = self._ending.is_set()
        kind = health_pb2.HealthCheckResponse
        return kind(status=kind.NOT_SERVING if ending else kind.SERVING)
