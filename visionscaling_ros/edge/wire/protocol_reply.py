"""Replies of the Open Inference Protocol v2 as servers write them and robots read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tritonclient.grpc import service_pb2

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.edge.wire.protocol_request import OUTPUTS, request_id
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections
from visionscaling_ros.edge.wire.tensor_model import TensorModel
from visionscaling_ros.edge.wire.tensors import add_tensor, number, read_parameters, read_tensor
from visionscaling_ros.errors import EdgeError

MAX_DETECTIONS = 10_000
# Of an output tensor: a batch of maps or of rows; networks have at most 5.
_MOST_DIMENSIONS = 8
# A box may reach this far over the image's edge by rounding; further away it is not a fraction.
BOX_TOLERANCE = 0.01
_ECHOED = ('slot', 'frame_number', 'stamp_ns', 'robot_id', 'deadline_s')


@dataclass(frozen=True, eq=False)
class EdgeReply:
    """An answer: ``detections``, or (on the server) the network's ``tensors`` by name.

    ``share``: what the robot can count on of the server. It and the times are NaN where the server
    does not tell them.
    """

    detections: RelativeDetections | None
    queue_s: float = math.nan
    compute_s: float = math.nan
    share: float = math.nan
    tensors: Mapping[str, FloatArray] | None = None


def build_reply(request: Any, reply: EdgeReply) -> Any:
    """The ModelInferResponse to ``request``, with the outputs it asks for, all where it does not.

    What the request said of its frame and robot is repeated.
    """
    response = service_pb2.ModelInferResponse(model_name=request.model_name, id=request.id)
    wanted = {output.name for output in request.outputs}
    for name, datatype, values in _outputs(reply):
        if not wanted or name in wanted:
            add_tensor(response.outputs, response.raw_output_contents, name, datatype, values)
    for name in _ECHOED:
        if name in request.parameters:
            response.parameters[name].CopyFrom(request.parameters[name])
    for name in ('queue_s', 'compute_s', 'share'):
        value = getattr(reply, name)
        if not math.isnan(value):
            response.parameters[name].double_param = value
    return response


def parse_reply(
    response: Any,
    frame: OffloadFrame,
    tensor_model: TensorModel | None = None,
    *,
    robot_id: str | None = None,
) -> EdgeReply:
    """Read the ModelInferResponse to ``frame``; raises EdgeError naming what is wrong with it.

    :param tensor_model: reads the answer to a frame that is a tensor.
    :param robot_id: the one the reply must be for, where it says so.
    """
    if response.model_name != frame.model or response.id != request_id(frame):
        raise EdgeError(
            f'reply is for model {response.model_name!r} frame {response.id!r}, '
            f'asked was {frame.model!r} frame {request_id(frame)!r}'
        )
    parameters = read_parameters(response.parameters)
    if parameters.get('slot', frame.slot) != frame.slot:
        raise EdgeError(f'reply is for slot {parameters["slot"]!r}, asked was {frame.slot}')
    if robot_id is not None and parameters.get('robot_id', robot_id) != robot_id:
        raise EdgeError(f'reply is for robot {parameters["robot_id"]!r}, asked was {robot_id!r}')
    if frame.tensor_shape is None:
        detections = _read_detections(response)
    elif tensor_model is None:
        raise EdgeError(f'frame was a tensor {frame.tensor_shape}, but {frame.model} takes a JPEG')
    else:
        detections = tensor_model.decode(_read_tensors(response, tensor_model), frame)
    return EdgeReply(
        detections,
        queue_s=number(parameters, 'queue_s', 0.0, math.inf, default=math.nan),
        compute_s=number(parameters, 'compute_s', 0.0, math.inf, default=math.nan),
        share=number(parameters, 'share', 0.0, 1.0, default=math.nan),
    )


def _outputs(reply: EdgeReply) -> list[tuple[str, str, npt.NDArray[Any]]]:
    if reply.detections is not None:
        found = reply.detections
        return [(name, datatype, getattr(found, name)) for name, (datatype, _) in OUTPUTS.items()]
    return [(name, 'FP32', values) for name, values in (reply.tensors or {}).items()]


def _read_tensors(response: Any, tensor_model: TensorModel) -> list[FloatArray]:
    tensors: list[FloatArray] = []
    dimensions = {tensor.name: len(tensor.shape) for tensor in response.outputs}
    for name in tensor_model.output_names:
        count = dimensions.get(name, 0)
        if count > _MOST_DIMENSIONS:
            raise EdgeError(f'tensor {name} has {count} dimensions, allowed: {_MOST_DIMENSIONS}')
        shape = (-1,) * count
        tensors.append(
            read_tensor(response.outputs, response.raw_output_contents, name, 'FP32', shape)
        )
    return tensors


def _read_detections(response: Any) -> RelativeDetections:
    tensors = {
        name: read_tensor(response.outputs, response.raw_output_contents, name, datatype, shape)
        for name, (datatype, shape) in OUTPUTS.items()
    }
    counts = {name: len(values) for name, values in tensors.items()}
    if len(set(counts.values())) != 1 or counts['scores'] > MAX_DETECTIONS:
        raise EdgeError(f'outputs have {counts} rows, allowed: as many each, <= {MAX_DETECTIONS}')
    _check_detections(**tensors)
    boxes = np.clip(tensors['boxes'], 0.0, 1.0)
    return RelativeDetections(boxes, tensors['scores'], tensors['class_ids'])


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
