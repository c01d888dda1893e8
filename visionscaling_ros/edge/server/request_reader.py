"""Gets a request's message from its robot, distrusting both."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2

from visionscaling_ros.edge.server.authenticator import Caller, check_model, check_robot_id
from visionscaling_ros.edge.server.model_runner import ModelRunner
from visionscaling_ros.edge.server.request_outcome import RequestOutcome, RequestRefusedError
from visionscaling_ros.edge.server.request_wire import check_wire
from visionscaling_ros.edge.server.server_limits import ServerLimits
from visionscaling_ros.edge.wire.protocol import InferCall, parse_request
from visionscaling_ros.errors import EdgeError

MOST_ID_LENGTH = 128


async def receive(context: Any, limits: ServerLimits) -> bytes:
    """The bytes of a request's message; raises RequestRefusedError."""
    try:
        data = await asyncio.wait_for(context.read(), limits.receive_s)
    except asyncio.TimeoutError as error:
        raise RequestRefusedError(
            grpc.StatusCode.DEADLINE_EXCEEDED,
            RequestOutcome.CANCELLED,
            f'the request did not arrive within {limits.receive_s:g} s',
        ) from error
    if not isinstance(data, bytes):  # gRPC has found it too large, or there was none
        raise invalid(f'no message, or one of more than {limits.message_bytes} bytes')
    return data


def read_request(data: bytes, caller: Caller, runner: ModelRunner) -> tuple[Any, InferCall]:
    """The request, and what it asks for; raises RequestRefusedError.

    The call's robot is the one that was proven, else the one it says, else its address.
    """
    try:
        check_wire(data)
        request = service_pb2.ModelInferRequest.FromString(data)
    except DecodeError as error:
        raise invalid('no ModelInferRequest') from error
    except EdgeError as error:
        raise invalid(str(error)) from error
    model = request.model_name
    check_served(model, runner)
    check_model(caller, model)
    try:
        call = parse_request(request, runner.tensor_spec(model))
        _check_call(call, runner)
    except EdgeError as error:
        raise invalid(str(error)) from error
    check_robot_id(caller, call.robot_id)
    return request, replace(call, robot_id=caller.robot_id or call.robot_id or caller.key)


def _check_call(call: InferCall, runner: ModelRunner) -> None:
    if len(call.robot_id) > MOST_ID_LENGTH:
        raise EdgeError(f'robot_id has {len(call.robot_id)} characters, allowed: {MOST_ID_LENGTH}')
    allowed = runner.input_sizes_px(call.model)
    if call.jpeg is not None and call.input_size_px not in allowed:
        raise EdgeError(f'input_size_px is {call.input_size_px}, allowed: {allowed}')


def check_served(model: str, runner: ModelRunner) -> None:
    """Refuse a model that is not there; raises RequestRefusedError."""
    if model not in runner.model_names:
        text = f'no model {model!r} here, there are: {", ".join(runner.model_names)}'
        raise RequestRefusedError(grpc.StatusCode.NOT_FOUND, RequestOutcome.INVALID, text)


def invalid(message: str) -> RequestRefusedError:
    """The request's own fault."""
    return RequestRefusedError(grpc.StatusCode.INVALID_ARGUMENT, RequestOutcome.INVALID, message)
