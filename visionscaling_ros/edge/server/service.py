"""The Open Inference Protocol v2 as this package's server speaks it."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import grpc
from tritonclient.grpc import service_pb2

from visionscaling_ros import __version__
from visionscaling_ros.edge.server.authenticator import Authenticator, check_model
from visionscaling_ros.edge.server.model_information import (
    PLATFORM,
    VERSION,
    model_config,
    model_metadata,
    model_statistics,
)
from visionscaling_ros.edge.server.model_runner import ModelRunner
from visionscaling_ros.edge.server.request_gate import RequestGate
from visionscaling_ros.edge.server.request_outcome import RequestOutcome, RequestRefusedError
from visionscaling_ros.edge.server.request_reader import check_served, read_request, receive
from visionscaling_ros.edge.server.scheduler import (
    Computed,
    DrainingError,
    OverloadedError,
    Scheduler,
)
from visionscaling_ros.edge.server.server_limits import ServerLimits
from visionscaling_ros.edge.server.server_statistics import RequestRecord, ServerStatistics
from visionscaling_ros.edge.server.small_requests import SmallRequests
from visionscaling_ros.edge.wire.protocol import EdgeReply, InferCall, build_reply
from visionscaling_ros.errors import ModelError, VisionScalingError

_logger = logging.getLogger(__name__)

# Status texts travel in HTTP/2 headers and may repeat what the robot sent.
MOST_TEXT = 500
SERVICE = 'inference.GRPCInferenceService'


class InferenceService:
    """Health, metadata, statistics and inference; gRPC answers the rest UNIMPLEMENTED.

    :param requests: lets in those for anything but inference.
    :param note_request: called with the peer of every request that is let in.
    """

    def __init__(
        self,
        runner: ModelRunner,
        scheduler: Scheduler,
        *,
        max_batch: int,
        limits: ServerLimits,
        authenticator: Authenticator,
        statistics: ServerStatistics,
        gate: RequestGate,
        requests: SmallRequests,
        note_request: Callable[[str], None],
    ) -> None:
        self._runner = runner
        self._scheduler = scheduler
        self._max_batch = max_batch
        self._limits = limits
        self._authenticator = authenticator
        self._statistics = statistics
        self._gate = gate
        self._requests = requests
        self._note_request = note_request

    def handlers(self) -> Any:
        """What the gRPC server is given."""
        small = {
            'ServerLive': self._server_live,
            'ServerReady': self._server_ready,
            'ModelReady': self._model_ready,
            'ServerMetadata': self._server_metadata,
            'ModelMetadata': self._model_metadata,
            'ModelConfig': self._model_config,
            'ModelStatistics': self._model_statistics,
            'RepositoryIndex': self._repository_index,
        }
        methods = {
            name: grpc.stream_unary_rpc_method_handler(
                self._answering(answer, getattr(service_pb2, f'{name}Request')),
                None,
                getattr(service_pb2, f'{name}Response').SerializeToString,
            )
            for name, answer in small.items()
        }
        # As streams of one message: who asks is known before the message is received.
        methods['ModelInfer'] = grpc.stream_unary_rpc_method_handler(
            self.model_infer, None, service_pb2.ModelInferResponse.SerializeToString
        )
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def model_infer(self, _messages: Any, context: Any) -> Any:
        """Run a model on one image."""
        with self._statistics.request() as record:
            try:
                reply = await self._infer(context, record)
            except RequestRefusedError as error:
                record.outcome = error.outcome
                refusal = error
            except asyncio.CancelledError:
                record.outcome = RequestOutcome.CANCELLED
                raise
            else:
                record.outcome = RequestOutcome.OK
                return reply
        return await abort(context, refusal.code, str(refusal))

    async def _infer(self, context: Any, record: RequestRecord) -> Any:
        caller = self._authenticator.identify(context)
        record.robot_id = caller.robot_id
        with self._gate.admit(caller):
            self._note_request(context.peer())
            try:
                data = await receive(context, self._limits)
                self._statistics.received_bytes += len(data)
                request, call = read_request(data, caller, self._runner)
                del data
                record.robot_id = call.robot_id
                remaining_s = context.time_remaining()
                time_left_s = min(call.deadline_s, math.inf if remaining_s is None else remaining_s)
                done = await self._compute(call, time_left_s)
                share = self._scheduler.share(call.robot_id, time.monotonic())
                return build_reply(
                    request,
                    EdgeReply(done.detections, done.queue_s, done.compute_s, share, done.tensors),
                )
            except MemoryError as error:
                raise RequestRefusedError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    RequestOutcome.REFUSED_OVERLOAD,
                    'out of memory',
                ) from error

    async def _compute(self, call: InferCall, time_left_s: float) -> Computed:
        try:
            done = await self._scheduler.infer(call, time_left_s)
        except DrainingError as error:
            code, outcome = grpc.StatusCode.UNAVAILABLE, RequestOutcome.DRAINING
            raise RequestRefusedError(code, outcome, str(error)) from error
        except OverloadedError as error:
            code, outcome = grpc.StatusCode.RESOURCE_EXHAUSTED, RequestOutcome.REFUSED_OVERLOAD
            raise RequestRefusedError(code, outcome, str(error)) from error
        except ModelError as error:  # the model's fault, not the request's
            _logger.warning('model %s failed: %s', call.model, error)
            raise self._failed(call.model, error) from error
        except VisionScalingError as error:
            code, outcome = grpc.StatusCode.INVALID_ARGUMENT, RequestOutcome.INVALID
            raise RequestRefusedError(code, outcome, str(error)) from error
        except MemoryError:
            raise
        except Exception as error:
            _logger.exception('model %s failed', call.model)
            raise self._failed(call.model, error) from error
        self._statistics.computed(call.model, done.queue_s, done.compute_s, done.batch_size)
        return done

    def _failed(self, model: str, error: Exception) -> RequestRefusedError:
        self._statistics.model(model).failed += 1
        text = str(error) or repr(error)
        return RequestRefusedError(grpc.StatusCode.INTERNAL, RequestOutcome.FAILED, text)

    def _answering(
        self, answer: Callable[[Any], Any], message_type: Any
    ) -> Callable[[Any, Any], Any]:
        """``answer`` for robots that may ask; signs of life need no token."""
        is_sign_of_life = answer in (self._server_live, self._server_ready)

        async def handle(_messages: Any, context: Any) -> Any:
            try:
                if is_sign_of_life:
                    self._requests.sign_of_life(context)
                    return answer(None)  # their messages are empty: they need not be received
                caller = self._requests.known(context)
                request = await self._requests.receive(context, caller, message_type)
                model = getattr(request, 'name', '')
                if model:
                    check_model(caller, model)
                return answer(request)
            except RequestRefusedError as error:
                refusal = error
            return await abort(context, refusal.code, str(refusal))

        return handle

    def _server_live(self, _request: Any) -> Any:
        return service_pb2.ServerLiveResponse(live=True)

    def _server_ready(self, _request: Any) -> Any:
        # The models are loaded: the server does not listen before.
        return service_pb2.ServerReadyResponse(ready=not self._gate.closed)

    def _model_ready(self, request: Any) -> Any:
        ready = request.name in self._runner.model_names and not self._gate.closed
        return service_pb2.ModelReadyResponse(ready=ready)

    def _server_metadata(self, _request: Any) -> Any:
        return service_pb2.ServerMetadataResponse(
            name=PLATFORM,
            version=__version__,
            extensions=['model_configuration', 'statistics'],
        )

    def _model_metadata(self, request: Any) -> Any:
        check_served(request.name, self._runner)
        return model_metadata(self._runner, request.name)

    def _model_config(self, request: Any) -> Any:
        check_served(request.name, self._runner)
        return model_config(self._runner, request.name, self._max_batch)

    def _model_statistics(self, request: Any) -> Any:
        names = [request.name] if request.name else list(self._runner.model_names)
        batches: Mapping[str, Mapping[int, int]] = self._scheduler.snapshot().batch_sizes
        response = service_pb2.ModelStatisticsResponse()
        for name in names:
            check_served(name, self._runner)
            counts = self._statistics.model(name)
            response.model_stats.append(model_statistics(name, counts, batches.get(name, {})))
        return response

    def _repository_index(self, _request: Any) -> Any:
        state = 'UNAVAILABLE' if self._gate.closed else 'READY'
        response = service_pb2.RepositoryIndexResponse()
        for name in self._runner.model_names:
            response.models.add(name=name, version=VERSION, state=state)
        return response


async def abort(context: Any, code: grpc.StatusCode, text: str) -> NoReturn:
    """End a call with a status; the text is cut and made printable."""
    safe = ''.join(c if c.isprintable() else '?' for c in text[:MOST_TEXT])
    await context.abort(code, safe)
    raise AssertionError('abort raises')
