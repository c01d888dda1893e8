"""Runs an ONNX file with OpenVINO."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.vision.engines.engine import NetworkFile, single_precision
from visionscaling_ros.vision.engines.extras import import_extra


@functools.cache
def _core() -> Any:
    """OpenVINO, never unloaded.

    A core brings a stack for signal handlers, and on its end puts back the one it found: with two
    cores that is one which is gone, and the next signal ends the process.
    """
    return import_extra('openvino').Core()


class OpenVinoEngine:
    """A network compiled for the CPU, for the latency of single frames."""

    name = 'openvino'

    def __init__(self, network: NetworkFile, device: str = 'cpu') -> None:
        core = _core()
        if device != 'cpu':
            raise InvalidValueError('device', device, 'cpu with engine openvino')
        settings = {
            'INFERENCE_NUM_THREADS': network.threads,
            'PERFORMANCE_HINT': 'LATENCY',
            # pinned to a core, it waits for whatever else runs there
            'ENABLE_CPU_PINNING': False,
            # left alone it computes with half the bits wherever the CPU can
            'INFERENCE_PRECISION_HINT': 'bf16' if network.half_precision else 'f32',
        }
        try:
            model = core.read_model(str(network.path))
            names = [next(iter(out.get_names()), '') for out in model.outputs]
            self._places = network.output_places(names, len(names))
            compiled = core.compile_model(model, 'CPU', settings)
        except RuntimeError as error:
            raise ModelError(f'{network.path}: file is no whole ONNX model ({error})') from error
        self._network = network
        self._request = compiled.create_infer_request()
        self.channels_last = network.layout == 'nhwc'

    def allocate(self, shape: tuple[int, ...]) -> FloatArray:
        """Float32 memory."""
        return np.empty(shape, np.float32)

    def run(self, batch: FloatArray) -> tuple[FloatArray, ...]:
        """Output tensors for a batch; raises ModelError."""
        try:
            outputs = self._request.infer({0: batch}, share_inputs=True)
        except RuntimeError as error:
            raise ModelError(
                f'{self._network.path}: openvino cannot run it on an input of shape '
                f'{tuple(batch.shape)} ({error})'
            ) from error
        return tuple(single_precision(outputs[place]) for place in self._places)
