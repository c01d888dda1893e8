"""The Open Inference Protocol v2 as this package's server speaks it."""

from __future__ import annotations

import logging
import math
import time
from typing import Any, NoReturn

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from visionscaling_ros import __version__
from visionscaling_ros.edge.compute_queue import ComputeQueue, OverloadedError
from visionscaling_ros.edge.model_runner import ModelRunner
from visionscaling_ros.edge.protocol import (
    OUTPUTS,
    EdgeReply,
    InferCall,
    build_reply,
    parse_request,
)
from visionscaling_ros.edge.robot_shares import RobotShares
from visionscaling_ros.errors import EdgeError, ModelError, VisionScalingError

_logger = logging.getLogger(__name__)

PLATFORM = 'visionscaling'


class InferenceService(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Health, metadata and inference; everything else is answered UNIMPLEMENTED by the base."""

    def __init__(self, runner: ModelRunner, queue: ComputeQueue) -> None:
        self._runner = runner
        self._queue = queue
        self._shares = RobotShares()

    async def ServerLive(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The process answers."""
        return service_pb2.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        """The models are loaded: the server does not listen before."""
        return service_pb2.ServerReadyResponse(ready=True)

    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Whether it has the model."""
        return service_pb2.ModelReadyResponse(ready=request.name in self._runner.model_names)

    async def ServerMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Name and version."""
        return service_pb2.ServerMetadataResponse(name=PLATFORM, version=__version__)

    async def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Inputs and outputs of a model."""
        await self._check_model(request.name, context)
        tensor = service_pb2.ModelMetadataResponse.TensorMetadata
        return service_pb2.ModelMetadataResponse(
            name=request.name,
            versions=['1'],
            platform=PLATFORM,
            inputs=[tensor(name='image', datatype='BYTES', shape=[1])],
            outputs=[
                tensor(name=name, datatype=datatype, shape=shape)
                for name, (datatype, shape) in OUTPUTS.items()
            ],
        )

    async def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Class names and input sizes of a model, comma-separated."""
        await self._check_model(request.name, context)
        response = service_pb2.ModelConfigResponse()
        response.config.name = request.name
        response.config.platform = PLATFORM
        parameters = response.config.parameters
        parameters['class_names'].string_value = ','.join(self._runner.class_names(request.name))
        parameters['input_sizes_px'].string_value = ','.join(
            str(size_px) for size_px in self._runner.input_sizes_px(request.name)
        )
        return response

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Run a model on one image."""
        await self._check_model(request.model_name, context)
        try:
            call = self._parse(request)
        except EdgeError as error:
            await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, error)
        share = self._shares.share(call.robot_id or context.peer(), time.monotonic())
        remaining_s = context.time_remaining()
        time_left_s = min(call.deadline_s, math.inf if remaining_s is None else remaining_s)
        try:
            done = await self._queue.infer(call, time_left_s)
        except OverloadedError as error:
            await _abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, error)
        except ModelError as error:  # the model's fault, not the request's
            _logger.warning('model %s failed: %s', call.model, error)
            await _abort(context, grpc.StatusCode.INTERNAL, error)
        except VisionScalingError as error:
            await _abort(context, grpc.StatusCode.INVALID_ARGUMENT, error)
        except Exception as error:
            _logger.exception('model %s failed', call.model)
            await _abort(context, grpc.StatusCode.INTERNAL, error)
        return build_reply(request, EdgeReply(done.detections, done.queue_s, done.compute_s, share))

    def _parse(self, request: Any) -> InferCall:
        call = parse_request(request)
        allowed = self._runner.input_sizes_px(call.model)
        if call.input_size_px not in allowed:
            raise EdgeError(f'input_size_px is {call.input_size_px}, allowed: {allowed}')
        return call

    async def _check_model(self, name: str, context: Any) -> None:
        if name not in self._runner.model_names:
            text = f'no model {name!r} here, there are: {", ".join(self._runner.model_names)}'
            await _abort(context, grpc.StatusCode.NOT_FOUND, EdgeError(text))


async def _abort(context: Any, code: Any, error: Exception) -> NoReturn:
    await context.abort(code, str(error) or repr(error))
    raise AssertionError('abort raises')
