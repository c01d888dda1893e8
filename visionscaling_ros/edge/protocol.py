"""Requests and replies of the Open Inference Protocol v2 over gRPC, built and checked.

One BYTES tensor ``image`` (a JPEG) goes to the server; FP32 ``boxes`` (N, 4), FP32 ``scores`` (N,)
and INT64 ``class_ids`` (N,) come back. The message types are those Triton's client ships.
Source: https://github.com/kserve/open-inference-protocol (specification/protocol).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tritonclient.grpc import service_pb2

from visionscaling_ros.edge.offload import OffloadFrame
from visionscaling_ros.edge.relative_detections import RelativeDetections
from visionscaling_ros.errors import EdgeError

# What a request carries beyond its JPEG: protobuf fields, HTTP/2 framing and compressed headers.
REQUEST_OVERHEAD_BYTES = 300
MAX_MESSAGE_BYTES = 16 << 20
MAX_DETECTIONS = 10_000
# A box may reach this far over the image's edge by rounding; further away it is not a fraction.
BOX_TOLERANCE = 0.01

OUTPUTS: dict[str, tuple[str, list[int]]] = {
    'boxes': ('FP32', [-1, 4]),
    'scores': ('FP32', [-1]),
    'class_ids': ('INT64', [-1]),
}
_DTYPES: dict[str, tuple[np.dtype[Any], str]] = {
    'FP32': (np.dtype('<f4'), 'fp32_contents'),
    'INT64': (np.dtype('<i8'), 'int64_contents'),
}


@dataclass(frozen=True)
class InferCall:
    """A request as the server understood it. ``deadline_s``: what was left when it was sent."""

    model: str
    input_size_px: int
    jpeg: bytes
    robot_id: str
    slot: int
    frame_number: int
    deadline_s: float


@dataclass(frozen=True)
class EdgeReply:
    """A reply as the robot understood it. ``share``: what it can count on of the server."""

    detections: RelativeDetections
    queue_s: float
    compute_s: float
    share: float


def build_request(frame: OffloadFrame, *, robot_id: str, deadline_s: float) -> Any:
    """The ModelInferRequest that carries ``frame``."""
    request = service_pb2.ModelInferRequest(model_name=frame.model, id=str(frame.frame_number))
    request.inputs.add(name='image', datatype='BYTES', shape=[1])
    request.raw_input_contents.append(struct.pack('<I', len(frame.payload)) + frame.payload)
    request.parameters['slot'].int64_param = frame.slot
    request.parameters['frame_number'].int64_param = frame.frame_number
    request.parameters['input_size_px'].int64_param = frame.input_size_px
    request.parameters['robot_id'].string_param = robot_id
    request.parameters['deadline_s'].double_param = deadline_s
    return request


def parse_request(request: Any) -> InferCall:
    """Read a ModelInferRequest; raises EdgeError naming what is wrong with it."""
    parameters = _parameters(request.parameters)
    return InferCall(
        model=request.model_name,
        input_size_px=int(_number(parameters, 'input_size_px', 1, 1 << 16)),
        jpeg=_jpeg(request),
        robot_id=str(parameters.get('robot_id', '')),
        slot=int(_number(parameters, 'slot', 0, 2**63, default=0)),
        frame_number=int(_number(parameters, 'frame_number', 0, 2**63, default=0)),
        deadline_s=_number(parameters, 'deadline_s', 0.0, np.inf, default=np.inf),
    )


def build_reply(request: Any, reply: EdgeReply) -> Any:
    """The ModelInferResponse to ``request``."""
    response = service_pb2.ModelInferResponse(model_name=request.model_name, id=request.id)
    for name, (datatype, _) in OUTPUTS.items():
        values = np.ascontiguousarray(getattr(reply.detections, name), _DTYPES[datatype][0])
        response.outputs.add(name=name, datatype=datatype, shape=values.shape)
        response.raw_output_contents.append(values.tobytes())
    response.parameters['queue_s'].double_param = reply.queue_s
    response.parameters['compute_s'].double_param = reply.compute_s
    response.parameters['share'].double_param = reply.share
    return response


def parse_reply(response: Any, frame: OffloadFrame) -> EdgeReply:
    """Read the ModelInferResponse to ``frame``; raises EdgeError naming what is wrong with it."""
    if response.model_name != frame.model or response.id != str(frame.frame_number):
        raise EdgeError(
            f'reply is for model {response.model_name!r} frame {response.id!r}, '
            f'asked was {frame.model!r} frame {frame.frame_number}'
        )
    tensors = {name: _output(response, name) for name in OUTPUTS}
    counts = {name: len(values) for name, values in tensors.items()}
    if len(set(counts.values())) != 1 or counts['scores'] > MAX_DETECTIONS:
        raise EdgeError(f'outputs have {counts} rows, allowed: as many each, <= {MAX_DETECTIONS}')
    _check_detections(**tensors)
    parameters = _parameters(response.parameters)
    detections = RelativeDetections(
        np.clip(tensors['boxes'], 0.0, 1.0), tensors['scores'], tensors['class_ids']
    )
    return EdgeReply(
        detections,
        queue_s=_number(parameters, 'queue_s', 0.0, np.inf, default=0.0),
        compute_s=_number(parameters, 'compute_s', 0.0, np.inf, default=0.0),
        share=_number(parameters, 'share', 0.0, 1.0, default=1.0),
    )


def _check_detections(
    boxes: npt.NDArray[Any], scores: npt.NDArray[Any], class_ids: npt.NDArray[Any]
) -> None:
    # Written so that NaN fails every one of them.
    low, high = -BOX_TOLERANCE, 1.0 + BOX_TOLERANCE
    if not np.all((boxes >= low) & (boxes <= high)):
        raise EdgeError('output boxes are not all fractions from 0 to 1')
    if not np.all(boxes[:, :2] <= boxes[:, 2:]):
        raise EdgeError('output boxes are not all x_min <= x_max, y_min <= y_max')
    if not np.all((scores >= 0.0) & (scores <= 1.0)):
        raise EdgeError('output scores are not all from 0 to 1')
    if not np.all(class_ids >= 0):
        raise EdgeError('output class_ids are not all >= 0')


def _jpeg(request: Any) -> bytes:
    """The one string of the one input, sent raw (length, bytes) or as typed contents."""
    if [tensor.name for tensor in request.inputs] != ['image']:
        names = [tensor.name for tensor in request.inputs]
        raise EdgeError(f'inputs are {names}, allowed: exactly one, image')
    tensor = request.inputs[0]
    if tensor.datatype != 'BYTES' or list(tensor.shape) not in ([1], [1, 1]):
        raise EdgeError(
            f'input image is {tensor.datatype} {list(tensor.shape)}, allowed: BYTES [1] or [1, 1]'
        )
    if not request.raw_input_contents:
        strings = list(tensor.contents.bytes_contents)
        if len(strings) != 1:
            raise EdgeError(f'input image holds {len(strings)} strings, allowed: 1')
        return bytes(strings[0])
    if len(request.raw_input_contents) != 1:
        raise EdgeError(f'raw_input_contents has {len(request.raw_input_contents)} parts, not 1')
    raw: bytes = request.raw_input_contents[0]
    if len(raw) < 4 or struct.unpack_from('<I', raw)[0] != len(raw) - 4:
        raise EdgeError(f'input image: {len(raw)} bytes do not match the length they begin with')
    return raw[4:]


def _output(response: Any, name: str) -> npt.NDArray[Any]:
    datatype, shape = OUTPUTS[name]
    names = [tensor.name for tensor in response.outputs]
    if name not in names:
        raise EdgeError(f'output {name} is missing, the reply has {names}')
    index = names.index(name)
    tensor = response.outputs[index]
    found = list(tensor.shape)
    if (
        tensor.datatype != datatype
        or len(found) != len(shape)
        or found[1:] != shape[1:]
        or found[0] < 0
    ):
        raise EdgeError(f'output {name} is {tensor.datatype} {found}, expected {datatype} {shape}')
    dtype, contents_field = _DTYPES[datatype]
    if index < len(response.raw_output_contents):
        raw = response.raw_output_contents[index]
        size_bytes = math.prod(found) * dtype.itemsize
        if len(raw) != size_bytes:
            raise EdgeError(f'output {name} {found} has {len(raw)} bytes, expected {size_bytes}')
        return np.frombuffer(raw, dtype).reshape(found)
    values = np.array(getattr(tensor.contents, contents_field), dtype)
    if values.size != math.prod(found):
        raise EdgeError(f'output {name} {found} has {values.size} values')
    return values.reshape(found)


def _parameters(message_map: Any) -> dict[str, Any]:
    return {
        key: getattr(value, field)
        for key, value in message_map.items()
        if (field := value.WhichOneof('parameter_choice')) is not None
    }


def _number(
    parameters: Mapping[str, Any], name: str, low: float, high: float, default: float | None = None
) -> float:
    value = parameters.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise EdgeError(f'parameter {name} is {value!r}, allowed: a number from {low} to {high}')
    return value
