"""The robot's end of the wire: sends frames to an inference server without ever waiting for one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from visionscaling_ros.edge.address import format_address, parse_address
from visionscaling_ros.edge.offload import FailureReason, OffloadError, OffloadFrame
from visionscaling_ros.edge.protocol import (
    MAX_MESSAGE_BYTES,
    EdgeReply,
    build_request,
    parse_reply,
)
from visionscaling_ros.errors import EdgeError

ReplyCallback = Callable[[EdgeReply | OffloadError], None]


class EdgeClient(Protocol):
    """Sends frames to one inference server."""

    @property
    def address(self) -> str:
        """``host:port`` of the server."""

    def submit(self, frame: OffloadFrame, timeout_s: float, on_reply: ReplyCallback) -> None:
        """Send ``frame`` and return at once; ``on_reply`` is called once, from any thread."""

    def probe(self, timeout_s: float) -> float:
        """Wait for the server's sign of life; returns the round trip [s], raises OffloadError."""

    def close(self) -> None:
        """Fail what is in flight and free everything. May be called twice."""


_REASONS = {
    grpc.StatusCode.DEADLINE_EXCEEDED: FailureReason.TIMEOUT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: FailureReason.REFUSED,
    grpc.StatusCode.INVALID_ARGUMENT: FailureReason.REFUSED,
    grpc.StatusCode.NOT_FOUND: FailureReason.REFUSED,
    grpc.StatusCode.CANCELLED: FailureReason.SHUTDOWN,
    grpc.StatusCode.UNAVAILABLE: FailureReason.UNAVAILABLE,
}

_CHANNEL_OPTIONS = [
    ('grpc.max_send_message_length', MAX_MESSAGE_BYTES),
    ('grpc.max_receive_message_length', MAX_MESSAGE_BYTES),
    # A server that returns is tried again within a second, not after gRPC's two minutes.
    ('grpc.initial_reconnect_backoff_ms', 200),
    ('grpc.max_reconnect_backoff_ms', 500),
    ('grpc.min_reconnect_backoff_ms', 2000),  # how long one attempt to connect may take
    # A host that vanished without closing its connection; longer than the dead periods of a radio.
    ('grpc.keepalive_time_ms', 10_000),
    ('grpc.keepalive_timeout_ms', 20_000),
    # Otherwise another client's failed connection to the same address would hold ours back.
    ('grpc.use_local_subchannel_pool', 1),
    # The bridge decides what is worth sending again; gRPC must not.
    ('grpc.enable_retries', 0),
]


class GrpcEdgeClient:
    """An :class:`EdgeClient` for any server of the Open Inference Protocol v2 over gRPC.

    Works on gRPC's own thread, which ends with :meth:`close`. Raises InvalidValueError if
    ``address`` is not ``host:port``.
    """

    def __init__(self, address: str, *, robot_id: str = '') -> None:
        self._address = format_address(*parse_address(address))
        self._robot_id = robot_id
        self._channel = grpc.insecure_channel(self._address, options=_CHANNEL_OPTIONS)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    @property
    def address(self) -> str:
        """``host:port`` of the server."""
        return self._address

    def submit(self, frame: OffloadFrame, timeout_s: float, on_reply: ReplyCallback) -> None:
        """Send ``frame`` and return at once; ``on_reply`` is called once, from gRPC's thread."""
        try:
            request = build_request(frame, robot_id=self._robot_id, deadline_s=timeout_s)
            call = self._stub.ModelInfer.future(request, timeout=timeout_s)
        except ValueError as error:  # closed channel, or a value no protobuf field can hold
            on_reply(OffloadError(FailureReason.SHUTDOWN, f'not sent to {self._address}: {error}'))
            return
        call.add_done_callback(lambda done: on_reply(self._result(done, frame)))

    def probe(self, timeout_s: float) -> float:
        """Ask whether the server lives; returns the round trip [s], raises OffloadError."""
        started_s = time.monotonic()
        try:
            reply = self._stub.ServerLive(service_pb2.ServerLiveRequest(), timeout=timeout_s)
        except grpc.RpcError as error:
            raise self._failure(error) from error
        except ValueError as error:
            raise OffloadError(FailureReason.SHUTDOWN, f'{self._address}: {error}') from error
        if not reply.live:
            raise OffloadError(FailureReason.UNAVAILABLE, f'{self._address} says it is not live')
        return time.monotonic() - started_s

    def close(self) -> None:
        """Cancel what is in flight and close the connection."""
        self._channel.close()

    def _result(self, call: Any, frame: OffloadFrame) -> EdgeReply | OffloadError:
        try:
            return parse_reply(call.result(), frame)
        except grpc.FutureCancelledError as error:
            return OffloadError(FailureReason.SHUTDOWN, f'{self._address}: {error}')
        except grpc.RpcError as error:
            return self._failure(error)
        except EdgeError as error:
            return OffloadError(FailureReason.BAD_REPLY, f'{self._address}: {error}')

    def _failure(self, error: Any) -> OffloadError:
        reason = _REASONS.get(error.code(), FailureReason.BAD_REPLY)
        return OffloadError(reason, f'{self._address}: {error.code().name}: {error.details()}')
