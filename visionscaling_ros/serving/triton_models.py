"""The steps as models of Triton's Python backend, which imports one of them by its own name.

Part of the code that ``visionscaling export-repository`` puts beside a model; see triton_steps.
Interface: https://github.com/triton-inference-server/python_backend.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from visionscaling_ros.errors import InvalidValueError, ModelError, VisionScalingError
from visionscaling_ros.serving.triton_steps import (
    SETTINGS_FILE,
    Postprocessor,
    Preprocessor,
    load_settings,
)

THREADS_PARAMETER = 'intra_op_thread_count'


class _Model:
    """What all three share: the server's own module, settings, one answer for each request."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Called once, with the model's configuration and folder."""
        import triton_python_backend_utils  # type: ignore[import-not-found]  # noqa: PLC0415

        self._server: Any = triton_python_backend_utils
        self._config: dict[str, Any] = json.loads(args['model_config'])
        folder = Path(args['model_repository']) / args['model_version']
        self._inputs = [tensor['name'] for tensor in self._config['input']]
        self._outputs = [tensor['name'] for tensor in self._config['output']]
        self._open(folder)

    def _open(self, folder: Path) -> None:
        raise NotImplementedError

    def _array(self, request: Any, name: str) -> Any:
        return self._server.get_input_tensor_by_name(request, name).as_numpy()

    def _answer(self, make: Callable[[], Sequence[Any]]) -> Any:
        """The response with the arrays that ``make`` gives, in the order of the outputs."""
        server = self._server
        try:
            arrays = make()
        except VisionScalingError as error:
            at_fault = isinstance(error, ModelError)
            code = server.TritonError.INTERNAL if at_fault else server.TritonError.INVALID_ARG
            return server.InferenceResponse(error=server.TritonError(str(error), code))
        return server.InferenceResponse(
            [server.Tensor(name, array) for name, array in zip(self._outputs, arrays, strict=True)]
        )


class PreprocessModel(_Model):
    """``image`` BYTES [1] -> the network's input and the frame."""

    def _open(self, folder: Path) -> None:
        self._step = Preprocessor(load_settings(folder / SETTINGS_FILE))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One response for each request."""
        return [self._answer(partial(self._run, request)) for request in requests]

    def _run(self, request: Any) -> Sequence[Any]:
        (jpeg,) = self._array(request, self._inputs[0]).reshape(-1)
        size_px = json.loads(request.parameters() or '{}').get('input_size_px')
        if size_px is not None and not isinstance(size_px, int):
            raise InvalidValueError('input_size_px', size_px, 'a whole number')
        return self._step.run(jpeg, size_px)


class PostprocessModel(_Model):
    """The network's output and the frame -> ``boxes``, ``scores``, ``class_ids``."""

    def _open(self, folder: Path) -> None:
        self._step = Postprocessor(load_settings(folder / SETTINGS_FILE))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One response for each request."""
        return [self._answer(partial(self._run, request)) for request in requests]

    def _run(self, request: Any) -> Sequence[Any]:
        *tensors, frame = (self._array(request, name) for name in self._inputs)
        return self._step.run(tensors, frame)


class NetworkModel(_Model):
    """The network itself, with ONNX Runtime, for servers that have no backend for it."""

    def _open(self, folder: Path) -> None:
        os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')  # it would report models to its makers
        import onnxruntime  # type: ignore[import-untyped]  # noqa: PLC0415  (in the server's environment)

        options = onnxruntime.SessionOptions()
        threads = self._config['parameters'][THREADS_PARAMETER]['string_value']
        options.intra_op_num_threads = int(threads)
        options.inter_op_num_threads = 1
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        self._session = onnxruntime.InferenceSession(
            str(folder / 'model.onnx'), options, providers=onnxruntime.get_available_providers()
        )

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One response for each request; those whose images are of one size run together."""
        arrays = [self._array(request, self._inputs[0]) for request in requests]
        outputs: dict[int, Sequence[Any]] = {}
        errors: dict[int, VisionScalingError] = {}
        for shape in {array.shape[1:] for array in arrays}:
            places = [k for k, array in enumerate(arrays) if array.shape[1:] == shape]
            together = [arrays[k] for k in places]
            batch = together[0] if len(together) == 1 else np.concatenate(together)
            try:
                found = self._session.run(self._outputs, {self._inputs[0]: batch})
            except Exception as error:  # of ONNX Runtime's own; raised, it would fail all of them
                text = f'what the network takes ({error})'
                refusal = InvalidValueError(self._inputs[0], list(batch.shape), text)
                errors.update(dict.fromkeys(places, refusal))
                continue
            ends = np.cumsum([len(array) for array in together])[:-1]
            parts = [np.split(output, ends) for output in found]
            outputs.update(zip(places, zip(*parts, strict=True), strict=True))

        def result(place: int) -> Sequence[Any]:
            if place in errors:
                raise errors[place]
            return outputs[place]

        return [self._answer(partial(result, k)) for k in range(len(requests))]
