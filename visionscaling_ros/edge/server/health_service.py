"""The standard gRPC health service (grpc.health.v1), for load balancers and process managers."""

from __future__ import annotations

from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health

from visionscaling_ros.edge.server.authenticator import Authenticator
from visionscaling_ros.edge.server.request_outcome import RequestRefusedError
from visionscaling_ros.edge.server.service import SERVICE, abort

MOST_WATCHERS = 32


class HealthService(health.HealthServicer):  # type: ignore[misc]
    """Asking once needs no token; staying to be told of changes does."""

    def __init__(self, authenticator: Authenticator) -> None:
        super().__init__()
        self._authenticator = authenticator
        self._watchers = 0

    async def start(self) -> None:
        """Say that the inference service is there."""
        await self.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802
        """Tell every change, as long as the caller listens."""
        try:
            self._authenticator.identify(context)
        except RequestRefusedError as error:
            await abort(context, error.code, str(error))
        if request.service not in ('', SERVICE):
            await abort(context, grpc.StatusCode.NOT_FOUND, f'allowed: {SERVICE} or nothing')
        if self._watchers >= MOST_WATCHERS:
            text = f'{MOST_WATCHERS} watch already, allowed: {MOST_WATCHERS}'
            await abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        self._watchers += 1
        try:
            await super().Watch(request, context)
        finally:
            self._watchers -= 1
