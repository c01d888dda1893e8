"""Runs an ONNX file with ONNX Runtime."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import numpy as np

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.vision.engines.devices import CUDA_PROVIDER
from visionscaling_ros.vision.engines.engine import NetworkFile, single_precision
from visionscaling_ros.vision.engines.extras import import_extra

_ERRORS_ONLY = 3
_CPU = 'CPUExecutionProvider'


class OnnxRuntimeEngine:
    """A session with as many threads as asked for, which sleep between frames.

    ONNX Runtime's threads otherwise spin, and take the core from everything else on a robot.
    """

    name = 'onnxruntime'

    def __init__(self, network: NetworkFile, device: str = 'cpu') -> None:
        ort = import_extra('onnxruntime')
        options = ort.SessionOptions()
        options.intra_op_num_threads = network.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        providers = _providers(device, ort.get_available_providers())
        try:
            self._session = ort.InferenceSession(
                str(network.path), options, providers=providers
            )
        except Exception as error:  # its errors have no base of their own
            raise ModelError(f'{network.path}: file is no whole ONNX model ({error})') from error
        self._network = network
        self._input = self._session.get_inputs()[0].name
        self._outputs = network.output_names([out.name for out in self._session.get_outputs()])
        self.channels_last = network.layout == 'nhwc'

    def allocate(self, shape: tuple[int, ...]) -> FloatArray:
        """Float32 memory."""
        return np.empty(shape, np.float32)

    def run(self, batch: FloatArray) -> tuple[FloatArray, ...]:
        """Output tensors for a batch; raises ModelError."""
        try:
            outputs = self._session.run(self._outputs, {self._input: batch})
        except Exception as error:
            raise ModelError(
                f'{self._network.path}: onnxruntime cannot run it on an input of shape '
                f'{tuple(batch.shape)} ({error})'
            ) from error
        return tuple(single_precision(output) for output in outputs)


def _providers(device: str, there: Collection[str]) -> list[str | tuple[str, dict[str, Any]]]:
    """What computes on a device, then what does the rest; raises InvalidValueError."""
    if device == 'cpu':
        return [_CPU]
    gpu = re.fullmatch('cuda(?::([0-9]+))?', device)
    if gpu is None or CUDA_PROVIDER not in there:
        usable = CUDA_PROVIDER in there
        allowed = 'cpu, cuda, cuda:N' if usable else 'cpu (onnxruntime has no CUDA here)'
        raise InvalidValueError('device', device, allowed)
    return [(CUDA_PROVIDER, {'device_id': int(gpu[1] or 0)}), _CPU]
