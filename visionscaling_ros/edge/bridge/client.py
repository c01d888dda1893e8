"""The robot's end of the wire: sends frames to an inference server without ever waiting for one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from visionscaling_ros.edge.address import format_address, parse_address
from visionscaling_ros.edge.bridge.pacer import Pacer
from visionscaling_ros.edge.bridge.server_times import ModelCounters, read_counters
from visionscaling_ros.edge.bridge.tcp_info import TcpInfo
from visionscaling_ros.edge.bridge.uplink import MeteredUplink
from visionscaling_ros.edge.credentials import ClientCredentials
from visionscaling_ros.edge.wire.offload import FailureReason, OffloadError, OffloadFrame
from visionscaling_ros.edge.wire.protocol import (
    MAX_MESSAGE_BYTES,
    EdgeReply,
    build_request,
    parse_reply,
)
from visionscaling_ros.edge.wire.tensor_model import TensorModel
from visionscaling_ros.errors import EdgeError, InvalidValueError

ReplyCallback = Callable[[EdgeReply | OffloadError], None]


class EdgeClient(Protocol):
    """Sends frames to one inference server."""

    @property
    def address(self) -> str:
        """``host:port`` of the server."""

    def attach(self, pacer: Pacer) -> None:
        """From now on send at the pace of ``pacer`` and count there what leaves."""

    def submit(self, frame: OffloadFrame, timeout_s: float, on_reply: ReplyCallback) -> None:
        """Send ``frame`` and return at once; ``on_reply`` is called once, from any thread."""

    def probe(self, timeout_s: float) -> float:
        """Wait for the server's sign of life; returns the round trip [s], raises OffloadError."""

    def counters(self, timeout_s: float) -> Mapping[str, ModelCounters]:
        """What the server's statistics say of each model; raises OffloadError."""

    def wire_times(self, asked_s: float, heard_s: float) -> tuple[float, float]:
        """When what was asked for and heard at these times left and arrived [s]."""

    def drop_stuck(self) -> None:
        """Give up connections with bytes that do not leave; never blocks."""

    def drop_silent(self, since_s: float) -> None:
        """Give up connections on which nothing came back since then; never blocks."""

    def tcp_info(self) -> TcpInfo | None:
        """The kernel's view of the connection, None where there is none."""

    def close(self) -> None:
        """Fail what is in flight and free everything. May be called twice."""


_REASONS = {
    grpc.StatusCode.DEADLINE_EXCEEDED: FailureReason.TIMEOUT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: FailureReason.REFUSED,
    grpc.StatusCode.INVALID_ARGUMENT: FailureReason.REFUSED,
    grpc.StatusCode.NOT_FOUND: FailureReason.REFUSED,
    grpc.StatusCode.CANCELLED: FailureReason.SHUTDOWN,
    grpc.StatusCode.UNAVAILABLE: FailureReason.UNAVAILABLE,
    grpc.StatusCode.UNAUTHENTICATED: FailureReason.UNAUTHORIZED,
    grpc.StatusCode.PERMISSION_DENIED: FailureReason.UNAUTHORIZED,
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

    Works on gRPC's own thread and the uplink's, which end with :meth:`close`. Raises
    InvalidValueError if ``address`` is not ``host:port`` or a file of ``credentials`` is unusable.

    :param tensor_models: how to ask the models whose input tensor is sent, by name.
    """

    def __init__(
        self,
        address: str,
        *,
        robot_id: str = '',
        tensor_models: Mapping[str, TensorModel] | None = None,
        credentials: ClientCredentials | None = None,
    ) -> None:
        host, port = parse_address(address)
        self._address = format_address(host, port)
        self._robot_id = robot_id
        self._tensor_models = dict(tensor_models or {})
        self._credentials = credentials or ClientCredentials()
        self._metadata = self._credentials.metadata()
        tls = self._credentials.channel_credentials()
        self._uplink = MeteredUplink(self._address)
        options: list[tuple[str, object]] = list(_CHANNEL_OPTIONS)
        if tls is None:
            options.append(('grpc.default_authority', self._address))
            self._channel = grpc.insecure_channel(self._uplink.target, options=options)
        else:
            # gRPC sees the relay's address; the certificate has to be the server's.
            name = self._credentials.server_name or host
            options.append(('grpc.ssl_target_name_override', name))
            self._channel = grpc.secure_channel(self._uplink.target, tls, options=options)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    @property
    def address(self) -> str:
        """``host:port`` of the server."""
        return self._address

    def attach(self, pacer: Pacer) -> None:
        """From now on send at the pace of ``pacer`` and count there what leaves."""
        self._uplink.attach(pacer)

    def submit(self, frame: OffloadFrame, timeout_s: float, on_reply: ReplyCallback) -> None:
        """Send ``frame`` and return at once; ``on_reply`` is called once, from gRPC's thread."""
        try:
            request = build_request(
                frame,
                robot_id=self._robot_id,
                deadline_s=timeout_s,
                tensor_model=self._tensor_models.get(frame.model),
            )
            call = self._stub.ModelInfer.future(request, timeout=timeout_s, metadata=self._metadata)
        except EdgeError as error:  # a tensor for a model that is not described here
            on_reply(OffloadError(FailureReason.REFUSED, f'not sent to {self._address}: {error}'))
            return
        except ValueError as error:  # closed channel, or a value no protobuf field can hold
            on_reply(OffloadError(FailureReason.SHUTDOWN, f'not sent to {self._address}: {error}'))
            return
        call.add_done_callback(lambda done: on_reply(self._result(done, frame)))

    def probe(self, timeout_s: float) -> float:
        """Ask whether the server lives; returns the round trip [s], raises OffloadError.

        Reads the token anew, which may have been replaced.
        """
        try:
            self._metadata = self._credentials.metadata()
        except InvalidValueError as error:
            raise OffloadError(FailureReason.UNAUTHORIZED, str(error)) from error
        started_s = time.monotonic()
        reply = self._ask('ServerLive', service_pb2.ServerLiveRequest(), timeout_s)
        if not reply.live:
            raise OffloadError(FailureReason.UNAVAILABLE, f'{self._address} says it is not live')
        left_s, arrived_s = self.wire_times(started_s, time.monotonic())
        return arrived_s - left_s

    def counters(self, timeout_s: float) -> Mapping[str, ModelCounters]:
        """What the server's statistics say of each model; raises OffloadError."""
        return read_counters(
            self._ask('ModelStatistics', service_pb2.ModelStatisticsRequest(), timeout_s)
        )

    def wire_times(self, asked_s: float, heard_s: float) -> tuple[float, float]:
        """When what was asked for and heard at these times left and arrived [s]."""
        return self._uplink.times.between(asked_s, heard_s)

    def drop_stuck(self) -> None:
        """Give up connections with bytes that do not leave; gRPC makes a new one."""
        self._uplink.drop_stuck()

    def drop_silent(self, since_s: float) -> None:
        """Give up connections on which nothing came back since then; gRPC makes a new one.

        A connection that outlived a dead link would go on only when TCP next tries, up to two
        minutes later.
        """
        self._uplink.drop_silent(since_s)

    def tcp_info(self) -> TcpInfo | None:
        """The kernel's view of the connection, None where there is none."""
        return self._uplink.tcp_info()

    def close(self) -> None:
        """Cancel what is in flight and close the connection."""
        self._channel.close()
        self._uplink.close()

    def _ask(self, method: str, request: Any, timeout_s: float) -> Any:
        try:
            return getattr(self._stub, method)(request, timeout=timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            raise self._failure(error) from error
        except ValueError as error:
            raise OffloadError(FailureReason.SHUTDOWN, f'{self._address}: {error}') from error

    def _result(self, call: Any, frame: OffloadFrame) -> EdgeReply | OffloadError:
        try:
            return parse_reply(
                call.result(),
                frame,
                self._tensor_models.get(frame.model),
                robot_id=self._robot_id,
            )
        except grpc.FutureCancelledError as error:
            return OffloadError(FailureReason.SHUTDOWN, f'{self._address}: {error}')
        except grpc.RpcError as error:
            return self._failure(error)
        except EdgeError as error:
            return OffloadError(FailureReason.BAD_REPLY, f'{self._address}: {error}')

    def _failure(self, error: Any) -> OffloadError:
        code, details = error.code(), str(error.details())
        reason = _REASONS.get(code, FailureReason.BAD_REPLY)
        if reason is FailureReason.TIMEOUT:
            details = f'no answer in time; {self._uplink.problem}'.removesuffix('; ')
        elif reason is FailureReason.UNAVAILABLE:
            details = _tls_problem(details) or self._uplink.problem or details
        return OffloadError(reason, f'{self._address}: {code.name}: {details}')


def _tls_problem(details: str) -> str:
    """What gRPC says of a connection that is not secure, in short; empty: it is about no such."""
    if 'Hostname Verification' in details:
        return "TLS failed: the server's certificate is for another name"
    if 'handshake failed' in details:
        return f'TLS failed: {details.rpartition("OPENSSL_internal:")[2].removesuffix(": OK")}'
    return ''
