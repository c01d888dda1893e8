"""An inference server between a robot and a real one, whose replies are spoiled on command."""

from __future__ import annotations

import enum
import os
import struct
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import grpc
from tritonclient.grpc import service_pb2

from visionscaling_ros.edge.wire.protocol import MAX_MESSAGE_BYTES
from visionscaling_ros.errors import EdgeError

THREADS = 8
# Later than any frame is of use.
LATE_S = 2.0
FORWARD_TIMEOUT_S = 10.0
_SIZES = [
    ('grpc.max_send_message_length', MAX_MESSAGE_BYTES),
    ('grpc.max_receive_message_length', MAX_MESSAGE_BYTES),
]


class Spoil(enum.Enum):
    """What is wrong with the replies to ModelInfer; the value is a word for people."""

    NOTHING = 'nothing'
    LATE = 'late'
    NEVER = 'never'
    TRUNCATED = 'truncated'
    GARBAGE = 'garbage'
    EMPTY = 'empty'
    WRONG_SHAPE = 'wrong-shape'
    WRONG_MODEL = 'wrong-model'
    WRONG_ID = 'wrong-id'
    NAN_BOXES = 'nan-boxes'
    OUT_OF_MEMORY = 'out-of-memory'
    INTERNAL = 'internal'
    UNAUTHENTICATED = 'unauthenticated'


_REFUSALS = {
    Spoil.OUT_OF_MEMORY: (grpc.StatusCode.RESOURCE_EXHAUSTED, 'out of memory'),
    Spoil.INTERNAL: (grpc.StatusCode.INTERNAL, 'the model failed'),
    Spoil.UNAUTHENTICATED: (grpc.StatusCode.UNAUTHENTICATED, 'unknown token'),
}


class FaultyServer:
    """Forwards every call to ``target`` as it came, and spoils what comes back as told.

    Use as a context manager; entering raises EdgeError if it cannot listen on ``host``.

    :param target: ``host:port`` of the real server.
    :param credentials: of ``grpc.ssl_server_credentials``, for TLS; None: none.
    :param target_credentials: of ``grpc.ssl_channel_credentials`` for the way to a target with TLS.
    """

    def __init__(
        self,
        target: str,
        *,
        host: str = '127.0.0.1',
        credentials: Any | None = None,
        target_credentials: Any | None = None,
    ) -> None:
        self.spoil = Spoil.NOTHING
        self._target = target
        self._address = f'{host}:0'
        self._credentials = credentials
        self._target_credentials = target_credentials

    @property
    def address(self) -> str:
        """``host:port`` it listens on."""
        return self._address

    def __enter__(self) -> FaultyServer:
        options = [*_SIZES, ('grpc.use_local_subchannel_pool', 1)]
        self._channel = (
            grpc.insecure_channel(self._target, options)
            if self._target_credentials is None
            else grpc.secure_channel(self._target, self._target_credentials, options)
        )
        self._server = grpc.server(
            ThreadPoolExecutor(THREADS, 'faulty-server'),
            handlers=[_Forwarder(self)],
            options=[*_SIZES, ('grpc.so_reuseport', 0)],
        )
        try:
            port = (
                self._server.add_insecure_port(self._address)
                if self._credentials is None
                else self._server.add_secure_port(self._address, self._credentials)
            )
        except RuntimeError as error:
            raise EdgeError(f'cannot listen on {self._address}: {error}') from error
        self._address = f'{self._address.rpartition(":")[0]}:{port}'
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop(0.0).wait()
        self._channel.close()

    def answer(self, method: str, request: bytes, context: Any) -> bytes:
        """The reply to one call, forwarded and spoiled; aborts ``context`` with an error's code."""
        spoil = self.spoil if method.endswith('/ModelInfer') else Spoil.NOTHING
        if spoil is Spoil.NEVER:
            _wait_for_end(context)
        if spoil in _REFUSALS:
            context.abort(*_REFUSALS[spoil])
        call = self._channel.unary_unary(method)
        try:
            reply: bytes = call(
                request,
                timeout=min(FORWARD_TIMEOUT_S, context.time_remaining() or FORWARD_TIMEOUT_S),
                metadata=[
                    (key, value)
                    for key, value in context.invocation_metadata()
                    if key == 'authorization'
                ],
            )
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
        if spoil is Spoil.LATE:
            time.sleep(LATE_S)
        return _SPOILERS[spoil](reply) if spoil in _SPOILERS else reply


class _Forwarder(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Takes every method, its messages as bytes."""

    def __init__(self, server: FaultyServer) -> None:
        self._server = server

    def service(self, handler_call_details: Any) -> Any:
        """The handler of one call."""
        method = handler_call_details.method
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._server.answer(method, request, context)
        )


def _wait_for_end(context: Any) -> None:
    """Hold the call until its deadline, or until its client has gone."""
    while context.is_active() and (context.time_remaining() or 0.0) > 0.0:
        time.sleep(0.05)
    context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, 'never answered')


def _edited(edit: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    def spoil(reply: bytes) -> bytes:
        message = service_pb2.ModelInferResponse.FromString(reply)
        edit(message)
        spoiled: bytes = message.SerializeToString()
        return spoiled

    return spoil


def _more_rows(message: Any) -> None:
    message.outputs[0].shape[0] += 7


def _other_model(message: Any) -> None:
    message.model_name = f'not-{message.model_name}'


def _other_id(message: Any) -> None:
    message.id = f'9{message.id}'


def _nan_boxes(message: Any) -> None:
    """One detection with boxes that are no numbers, whatever was found."""
    contents = {
        'boxes': ([1, 4], struct.pack('<4f', *[float('nan')] * 4)),
        'scores': ([1], struct.pack('<f', 0.5)),
        'class_ids': ([1], struct.pack('<q', 0)),
    }
    for index, output in enumerate(message.outputs):
        shape, raw = contents[output.name]
        output.shape[:] = shape
        message.raw_output_contents[index] = raw


_SPOILERS: dict[Spoil, Callable[[bytes], bytes]] = {
    Spoil.TRUNCATED: lambda reply: reply[: max(1, len(reply) - 7)],
    Spoil.GARBAGE: lambda reply: os.urandom(max(64, len(reply))),
    Spoil.EMPTY: lambda reply: b'',
    Spoil.WRONG_SHAPE: _edited(_more_rows),
    Spoil.WRONG_MODEL: _edited(_other_model),
    Spoil.WRONG_ID: _edited(_other_id),
    Spoil.NAN_BOXES: _edited(_nan_boxes),
}
