"""Requests of the Open Inference Protocol v2 as robots send them and servers read them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tritonclient.grpc import service_pb2

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.edge.wire.tensor_model import TensorModel, TensorSpec
from visionscaling_ros.edge.wire.tensors import (
    number,
    pack_string,
    read_parameters,
    read_string,
    read_tensor,
)
from visionscaling_ros.errors import EdgeError

# What a request carries beyond its payload: protobuf fields, HTTP/2 framing, compressed headers.
REQUEST_OVERHEAD_BYTES = 350

JPEG_INPUT = 'image'
# Detections, the answer to a JPEG. Boxes are fractions of the image.
OUTPUTS: dict[str, tuple[str, tuple[int, ...]]] = {
    'boxes': ('FP32', (-1, 4)),
    'scores': ('FP32', (-1,)),
    'class_ids': ('INT64', (-1,)),
}
_MOST_SIZE_PX = 1 << 16
_MOST_INTEGER = 2**63


@dataclass(frozen=True, eq=False)
class InferCall:
    """A request as the server understood it: with a ``jpeg`` or a ``tensor``, never both.

    tensor: float32, the network's input for one image. ``input_size_px`` is its longer side.
    ``deadline_s``: what was left when it was sent; inf: the robot did not say.
    """

    model: str
    input_size_px: int
    jpeg: bytes | None
    tensor: FloatArray | None
    robot_id: str
    slot: int
    frame_number: int
    stamp_ns: int
    deadline_s: float


def request_id(frame: OffloadFrame) -> str:
    """What a frame and its reply are known by: its stamp, and its number among equal stamps."""
    return f'{frame.stamp_ns}-{frame.frame_number}'


def build_request(
    frame: OffloadFrame,
    *,
    robot_id: str,
    deadline_s: float,
    tensor_model: TensorModel | None = None,
) -> Any:
    """The ModelInferRequest that carries ``frame``.

    :param tensor_model: how to ask its model for a frame that is a tensor.
    :raises EdgeError: a frame that is a tensor without one.
    """
    request = service_pb2.ModelInferRequest(model_name=frame.model, id=request_id(frame))
    if frame.tensor_shape is None:
        request.inputs.add(name=JPEG_INPUT, datatype='BYTES', shape=[1])
        request.raw_input_contents.append(pack_string(frame.payload))
    elif tensor_model is None:
        raise EdgeError(f'frame is a tensor {frame.tensor_shape}, but {frame.model} takes a JPEG')
    else:
        request.inputs.add(name=tensor_model.input_name, datatype='FP32', shape=frame.tensor_shape)
        request.raw_input_contents.append(frame.payload)
        for name in tensor_model.output_names:
            request.outputs.add(name=name)
    parameters = request.parameters
    parameters['slot'].int64_param = frame.slot
    parameters['frame_number'].int64_param = frame.frame_number
    parameters['stamp_ns'].int64_param = frame.stamp_ns
    parameters['input_size_px'].int64_param = frame.input_size_px
    parameters['robot_id'].string_param = robot_id
    parameters['deadline_s'].double_param = deadline_s
    return request


def parse_request(request: Any, spec: TensorSpec | None = None) -> InferCall:
    """Read a ModelInferRequest; raises EdgeError naming what is wrong with it.

    :param spec: the model's network, where tensors may be sent too.
    """
    parameters = read_parameters(request.parameters)
    names = [tensor.name for tensor in request.inputs]
    jpeg: bytes | None = None
    tensor: FloatArray | None = None
    if names == [JPEG_INPUT] and (spec is None or request.inputs[0].datatype == 'BYTES'):
        jpeg = read_string(request.inputs[0], request.raw_input_contents)
        input_size_px = int(number(parameters, 'input_size_px', 1, _MOST_SIZE_PX))
        outputs = set(OUTPUTS)
    elif spec is not None and names == [spec.input_name]:
        shape = (1, *spec.input_shape[1:])
        tensor = read_tensor(
            request.inputs, request.raw_input_contents, spec.input_name, 'FP32', shape
        )
        input_size_px = _longer_side_px(tensor.shape, shape)
        outputs = set(spec.outputs)
    else:
        either = f' or {spec.input_name}' if spec is not None else ''
        raise EdgeError(f'inputs are {names}, allowed: exactly one, {JPEG_INPUT}{either}')
    unknown = {output.name for output in request.outputs} - outputs
    if unknown:
        raise EdgeError(f'outputs {sorted(unknown)} are asked for, there are {sorted(outputs)}')
    return InferCall(
        model=request.model_name,
        input_size_px=input_size_px,
        jpeg=jpeg,
        tensor=tensor,
        robot_id=str(parameters.get('robot_id', '')),
        slot=int(number(parameters, 'slot', 0, _MOST_INTEGER, default=0)),
        frame_number=int(number(parameters, 'frame_number', 0, _MOST_INTEGER, default=0)),
        stamp_ns=int(number(parameters, 'stamp_ns', 0, _MOST_INTEGER, default=0)),
        deadline_s=number(parameters, 'deadline_s', 0.0, math.inf, default=math.inf),
    )


def _longer_side_px(found: tuple[int, ...], spec: tuple[int, ...]) -> int:
    """Of the sides the network leaves open; all but batch and channels where it leaves none."""
    sides_px = [length for length, wanted in zip(found, spec, strict=True) if wanted == -1]
    return max(sides_px or found)
