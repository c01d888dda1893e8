"""The models an exported repository runs, over a stand-in for the server's own module."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
from vision_models import write_vsdet

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.serving.repository import write_repository
from visionscaling_ros.serving.repository_options import RepositoryOptions
from visionscaling_ros.serving.triton_models import NetworkModel, PreprocessModel
from visionscaling_ros.vision.catalog import Catalog, manifest_entries
from visionscaling_ros.vision.jpeg import encode_jpeg


class Error(Exception):
    INTERNAL, INVALID_ARG = 'INTERNAL', 'INVALID_ARG'


class Tensor:
    def __init__(self, name: str, array: Any) -> None:
        self.name, self._array = name, array

    def as_numpy(self) -> Any:
        return self._array


class Response:
    def __init__(self, tensors: Sequence[Tensor] = (), error: Error | None = None) -> None:
        self.tensors, self.error = tensors, error


class Request:
    def __init__(self, parameters: Mapping[str, Any] | None = None, **arrays: Any) -> None:
        self._parameters, self.arrays = parameters or {}, arrays

    def parameters(self) -> str:
        return json.dumps(self._parameters)


SERVER = SimpleNamespace(
    Tensor=Tensor,
    InferenceResponse=Response,
    TritonError=Error,
    get_input_tensor_by_name=lambda request, name: Tensor(name, request.arrays[name]),
)


@pytest.fixture(scope='module')
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    manifest = write_vsdet(tmp_path_factory.mktemp('models'))
    catalog = Catalog(manifest_entries(manifest))
    folder = tmp_path_factory.mktemp('repository')
    write_repository([catalog.entry('small')], folder, RepositoryOptions(backend='python'))
    return folder


def loaded(model: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(sys.modules, 'triton_python_backend_utils', SERVER)
    text = (folder / 'config.pbtxt').read_text(encoding='utf-8')
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    as_json = {
        'input': [{'name': tensor.name} for tensor in config.input],
        'output': [{'name': tensor.name} for tensor in config.output],
        'parameters': {
            name: {'string_value': value.string_value} for name, value in config.parameters.items()
        },
    }
    model.initialize(
        {
            'model_config': json.dumps(as_json),
            'model_repository': str(folder),
            'model_version': '1',
        }
    )
    return model


def images(count: int, height_px: int, width_px: int) -> FloatArray:
    return np.zeros((count, 3, height_px, width_px), np.float32)


def test_a_tensor_the_network_cannot_take_spoils_no_other(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(NetworkModel(), repository / 'small_network', monkeypatch)
    sizes = [(1, 64, 64), (1, 33, 47), (2, 64, 64), (1, 32, 64)]
    responses = model.execute([Request(images=images(*size)) for size in sizes])
    assert [response.error is None for response in responses] == [True, False, True, True]
    assert responses[1].error.args[1] == Error.INVALID_ARG
    assert '33' in responses[1].error.args[0]
    assert [len(responses[k].tensors[0].as_numpy()) for k in (0, 2, 3)] == [1, 2, 1]


@pytest.mark.parametrize('size_px', ['x', '64', 64.0, float('nan'), [64], 65])
def test_an_input_size_that_is_none_is_the_requests_fault(
    repository: Path, monkeypatch: pytest.MonkeyPatch, size_px: Any
) -> None:
    model = loaded(PreprocessModel(), repository / 'small_preprocess', monkeypatch)
    jpeg = np.array([encode_jpeg(np.zeros((48, 64, 3), np.uint8))], object)
    bad, good = model.execute(
        [
            Request({'input_size_px': size_px}, image=jpeg),
            Request({'input_size_px': 64}, image=jpeg),
        ]
    )
    assert bad.error.args[1] == Error.INVALID_ARG
    assert 'input_size_px' in bad.error.args[0]
    assert good.error is None
