"""What the edge server tells about its models in the protocol's own messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tritonclient.grpc import service_pb2

from visionscaling_ros.edge.server.model_runner import ModelRunner
from visionscaling_ros.edge.server.server_statistics import ModelCounts
from visionscaling_ros.edge.wire.protocol import JPEG_INPUT, OUTPUTS

PLATFORM = 'visionscaling'
VERSION = '1'
_NS = 1e9


def model_metadata(runner: ModelRunner, model: str) -> Any:
    """Inputs and outputs: a JPEG in and detections out; or the network's tensors, where it has."""
    tensor = service_pb2.ModelMetadataResponse.TensorMetadata
    inputs = [tensor(name=JPEG_INPUT, datatype='BYTES', shape=[1])]
    outputs = [
        tensor(name=name, datatype=datatype, shape=shape)
        for name, (datatype, shape) in OUTPUTS.items()
    ]
    spec = runner.tensor_spec(model)
    if spec is not None:
        inputs.append(tensor(name=spec.input_name, datatype='FP32', shape=spec.input_shape))
        outputs += [
            tensor(name=name, datatype='FP32', shape=shape) for name, shape in spec.outputs.items()
        ]
    return service_pb2.ModelMetadataResponse(
        name=model, versions=[VERSION], platform=PLATFORM, inputs=inputs, outputs=outputs
    )


def model_config(runner: ModelRunner, model: str, max_batch: int) -> Any:
    """Class names and input sizes, comma-separated, and how many images are computed together."""
    response = service_pb2.ModelConfigResponse()
    config = response.config
    config.name = model
    config.platform = PLATFORM
    config.max_batch_size = max_batch
    config.parameters['class_names'].string_value = ','.join(runner.class_names(model))
    config.parameters['input_sizes_px'].string_value = ','.join(
        map(str, runner.input_sizes_px(model))
    )
    return response


def model_statistics(model: str, counts: ModelCounts, batches: Mapping[int, int]) -> Any:
    """Triton's statistics of a model.

    :param batches: how often it ran, by batch size.
    """
    response = service_pb2.ModelStatistics(
        name=model,
        version=VERSION,
        last_inference=counts.last_unix_ms,
        inference_count=counts.succeeded,
        execution_count=sum(batches.values()),
    )
    statistics = response.inference_stats
    _set(statistics.success, counts.succeeded, counts.queue_s + counts.compute_s)
    _set(statistics.fail, counts.failed, 0.0)
    _set(statistics.queue, counts.succeeded, counts.queue_s)
    _set(statistics.compute_infer, counts.succeeded, counts.compute_s)
    for size, count in sorted(batches.items()):
        item = response.batch_stats.add(batch_size=size)
        _set(item.compute_infer, count, counts.compute_s_by_batch.get(size, 0.0) / size)
    return response


def _set(duration: Any, count: int, seconds: float) -> None:
    duration.count = count
    duration.ns = round(seconds * _NS)
