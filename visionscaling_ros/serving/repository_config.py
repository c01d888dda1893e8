"""Model configurations of Triton, as its own messages, and as the text its files hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from visionscaling_ros.edge.wire.protocol import JPEG_INPUT, OUTPUTS
from visionscaling_ros.serving.repository_network import NetworkTensors, Shape
from visionscaling_ros.serving.repository_options import RepositoryOptions
from visionscaling_ros.serving.triton_models import THREADS_PARAMETER
from visionscaling_ros.vision.model_entry import ModelEntry

# The tensors between the steps, by their names in the ensemble.
_BATCH, _FRAME = 'batch', 'frame'
_FRAME_SHAPE = (3,)
_JPEG_SHAPE = (1,)
Tensors = Iterable[tuple[str, str, Shape]]  # name, data type without TYPE_, shape


def as_text(config: Any) -> str:
    """What a config.pbtxt holds."""
    text: str = text_format.MessageToString(config)
    return text


def network_config(
    name: str, backend: str, tensors: NetworkTensors, options: RepositoryOptions
) -> Any:
    """The network: batches, instances, threads."""
    config = _config(name, backend=backend)
    if backend == 'pytorch':
        config.platform = 'pytorch_libtorch'
    first = 1 if tensors.takes_batches else 0  # a batch's length is in no shape of Triton's
    if tensors.takes_batches:
        config.max_batch_size = options.max_batch
        config.dynamic_batching.max_queue_delay_microseconds = options.batch_delay_us
    _add(config.input, [(tensors.input_name, 'FP32', tensors.input_shape[first:])])
    _add(config.output, [(name, 'FP32', shape[first:]) for name, shape in tensors.outputs])
    _add_instances(config, options.instances, options.device)
    config.parameters[THREADS_PARAMETER].string_value = str(options.threads)
    return config


def preprocess_config(name: str, tensors: NetworkTensors, options: RepositoryOptions) -> Any:
    """From a JPEG to the network's input, on the CPU."""
    config = _config(name, backend='python')
    _add(config.input, [(JPEG_INPUT, 'STRING', _JPEG_SHAPE)])
    batch = (1, *tensors.input_shape[1:])
    _add(config.output, [(_BATCH, 'FP32', batch), (_FRAME, 'INT32', _FRAME_SHAPE)])
    _add_instances(config, options.instances, 'cpu')
    return config


def postprocess_config(name: str, tensors: NetworkTensors, options: RepositoryOptions) -> Any:
    """From the network's output to detections, on the CPU."""
    config = _config(name, backend='python')
    raw = [(output, 'FP32', (1, *shape[1:])) for output, shape in tensors.outputs]
    _add(config.input, [*raw, (_FRAME, 'INT32', _FRAME_SHAPE)])
    _add(config.output, _detections())
    _add_instances(config, options.instances, 'cpu')
    return config


def ensemble_config(
    entry: ModelEntry, tensors: NetworkTensors, steps: tuple[str, str, str]
) -> Any:
    """All three under the model's own name: a JPEG goes in, detections come out.

    :param steps: names of pre-processing, network and post-processing.
    """
    config = _config(entry.name, platform='ensemble')
    _add(config.input, [(JPEG_INPUT, 'STRING', _JPEG_SHAPE)])
    _add(config.output, _detections())
    names = [name for name, _ in tensors.outputs]
    preprocess, network, postprocess = steps
    scheduled = config.ensemble_scheduling.step
    _add_step(scheduled, preprocess, [JPEG_INPUT], [_BATCH, _FRAME])
    raw = {name: f'raw_{name}' for name in names}
    _add_step(scheduled, network, {tensors.input_name: _BATCH}, raw)
    _add_step(scheduled, postprocess, {**raw, _FRAME: _FRAME}, OUTPUTS)
    config.parameters['class_names'].string_value = ','.join(entry.class_names)
    sizes = ','.join(map(str, entry.input_sizes_px))
    config.parameters['input_sizes_px'].string_value = sizes
    return config


def _config(name: str, **values: str) -> Any:
    return model_config_pb2.ModelConfig(name=name, **values)


def _detections() -> Tensors:
    return [(name, datatype, shape) for name, (datatype, shape) in OUTPUTS.items()]


def _add(messages: Any, tensors: Tensors) -> None:
    for name, datatype, shape in tensors:
        data_type = model_config_pb2.DataType.Value(f'TYPE_{datatype}')
        messages.add(name=name, data_type=data_type, dims=shape)


def _add_instances(config: Any, count: int, device: str) -> None:
    kind = model_config_pb2.ModelInstanceGroup.Kind.Value(f'KIND_{device.upper()}')
    config.instance_group.add(count=count, kind=kind)


def _add_step(
    steps: Any,
    model: str,
    inputs: Mapping[str, str] | Sequence[str],
    outputs: Mapping[str, Any] | Sequence[str],
) -> None:
    """A step; tensors are known in the ensemble by their own names unless a text says otherwise."""
    step = steps.add(model_name=model, model_version=-1)
    for target, tensors in ((step.input_map, inputs), (step.output_map, outputs)):
        for name in tensors:
            inside = tensors[name] if isinstance(tensors, Mapping) else name
            target[name] = inside if isinstance(inside, str) else name
