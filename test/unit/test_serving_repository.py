"""Model repositories for other people's servers."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
from vision_models import write_manifest, write_vsdet

from visionscaling_ros.cli import export_repository
from visionscaling_ros.errors import (
    ImageFormatError,
    InvalidValueError,
    ModelError,
    VisionScalingError,
)
from visionscaling_ros.serving.repository import write_repository
from visionscaling_ros.serving.repository_options import RepositoryOptions
from visionscaling_ros.serving.triton_steps import Postprocessor, Preprocessor, load_settings
from visionscaling_ros.vision.catalog import Catalog, manifest_entries
from visionscaling_ros.vision.detector import detect
from visionscaling_ros.vision.jpeg import decode_jpeg, encode_jpeg

TENSOR = {'offload': {'payload': 'tensor'}}
IMAGE_BGR = np.random.default_rng(0).integers(0, 256, (70, 120, 3), np.uint8)


def catalog_of(path: Path) -> Catalog:
    return Catalog(manifest_entries(path))


def write(catalog: Catalog, folder: Path, *models: str, **options: Any) -> Path:
    entries = [catalog.entry(model) for model in models or catalog.names()]
    write_repository(entries, folder, RepositoryOptions(**options))
    return folder


def config_of(folder: Path) -> Any:
    text = (folder / 'config.pbtxt').read_text(encoding='utf-8')
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    assert config.name == folder.name
    return config


def tensors_of(messages: Any) -> dict[str, tuple[str, list[int]]]:
    name_of = model_config_pb2.DataType.Name
    return {m.name: (name_of(m.data_type).removeprefix('TYPE_'), list(m.dims)) for m in messages}


@pytest.fixture(scope='module')
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return catalog_of(write_vsdet(tmp_path_factory.mktemp('models')))


@pytest.fixture(scope='module')
def repository(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    folder = tmp_path_factory.mktemp('repository')
    return write(catalog, folder, 'small', max_batch=4, batch_delay_us=500, instances=2, threads=3)


DETECTIONS = {'boxes': ('FP32', [-1, 4]), 'scores': ('FP32', [-1]), 'class_ids': ('INT64', [-1])}


def test_the_model_itself_takes_a_jpeg_and_gives_detections(repository: Path) -> None:
    config = config_of(repository / 'small')
    assert config.platform == 'ensemble'
    assert tensors_of(config.input) == {'image': ('STRING', [1])}
    assert tensors_of(config.output) == DETECTIONS
    assert config.parameters['class_names'].string_value == 'cat,dog,owl'
    assert config.parameters['input_sizes_px'].string_value == '64,96'
    assert (repository / 'small' / '1').is_dir()


def test_the_steps_fit_together(repository: Path) -> None:
    known = {'image'}
    for step in config_of(repository / 'small').ensemble_scheduling.step:
        config = config_of(repository / step.model_name)
        assert set(step.input_map) == set(tensors_of(config.input))
        assert set(step.output_map) == set(tensors_of(config.output))
        assert set(step.input_map.values()) <= known
        known |= set(step.output_map.values())
    assert set(DETECTIONS) <= known


def test_the_network_batches_as_asked(repository: Path) -> None:
    config = config_of(repository / 'small_network')
    assert config.backend == 'onnxruntime'
    assert config.max_batch_size == 4
    assert config.dynamic_batching.max_queue_delay_microseconds == 500
    (group,) = config.instance_group
    assert (group.count, group.kind) == (2, model_config_pb2.ModelInstanceGroup.KIND_CPU)
    assert config.parameters['intra_op_thread_count'].string_value == '3'
    assert tensors_of(config.input) == {'images': ('FP32', [3, -1, -1])}
    assert tensors_of(config.output) == {'scores': ('FP32', [-1, 3]), 'boxes': ('FP32', [-1, 4])}
    assert sorted(path.name for path in (repository / 'small_network' / '1').iterdir()) == [
        'model.onnx'
    ]


def test_the_exported_network_runs_batches_of_any_length_and_size(repository: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(repository / 'small_network' / '1' / 'model.onnx')
    images = np.random.default_rng(0).random((5, 3, 64, 96), np.float32)
    together = session.run(['scores', 'boxes'], {'images': images})
    for k, image in enumerate(images):
        alone = session.run(['scores', 'boxes'], {'images': image[None]})
        for whole, one in zip(together, alone, strict=True):
            np.testing.assert_allclose(whole[k], one[0], rtol=1e-3, atol=1e-3)


def test_the_steps_give_what_the_robot_would_have_found(catalog: Catalog, repository: Path) -> None:
    settings = load_settings(repository / 'small_preprocess' / '1' / 'settings.json')
    jpeg = encode_jpeg(IMAGE_BGR, 90)
    batch, frame = Preprocessor(settings).run(jpeg, 96)
    assert batch.shape == (1, 3, 64, 96)
    assert frame.tolist() == [120, 70, 96]
    detector = catalog.load('small', engine='onnxruntime')
    raw = detector.forward(detector.preprocess(decode_jpeg(jpeg), 96))
    boxes, scores, class_ids = Postprocessor(settings).run(raw.tensors, frame)
    own = detect(detector, decode_jpeg(jpeg), 96)
    assert len(own) > 0
    np.testing.assert_allclose(boxes * [120, 70, 120, 70], own.boxes_px, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(scores, own.scores)
    np.testing.assert_array_equal(class_ids, own.class_ids)


@pytest.mark.parametrize(('side_px', 'size_px'), [(40, 64), (64, 64), (65, 96), (200, 96)])
def test_a_request_without_a_size_gets_the_smallest_that_holds_the_image(
    repository: Path, side_px: int, size_px: int
) -> None:
    settings = load_settings(repository / 'small_preprocess' / '1' / 'settings.json')
    jpeg = encode_jpeg(np.zeros((side_px, side_px // 2, 3), np.uint8))
    assert Preprocessor(settings).run(jpeg, None)[1].tolist() == [side_px // 2, side_px, size_px]


def test_the_steps_name_what_is_wrong(repository: Path) -> None:
    settings = load_settings(repository / 'small_preprocess' / '1' / 'settings.json')
    with pytest.raises(ImageFormatError, match='5 bytes'):
        Preprocessor(settings).run(b'wrong', 64)
    with pytest.raises(InvalidValueError, match='input_size_px'):
        Preprocessor(settings).run(encode_jpeg(IMAGE_BGR), 65504)
    tensors = [np.full((1, 84, 3), np.nan, np.float32), np.zeros((1, 84, 4), np.float32)]
    with pytest.raises(ModelError, match='not finite'):
        Postprocessor(settings).run(tensors, np.array([64, 64, 64]))


_PROBE = """
import sys
before = set(sys.modules)
sys.path.insert(0, sys.argv[1])
from visionscaling_ros.serving.triton_models import NetworkModel, PostprocessModel, PreprocessModel
import visionscaling_ros
assert visionscaling_ros.__file__.startswith(sys.argv[1]), visionscaling_ros.__file__
print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))
"""


def test_the_code_beside_a_model_needs_numpy_and_opencv_only(repository: Path) -> None:
    archive = repository / 'small_preprocess' / '1' / 'visionscaling_ros.zip'
    done = subprocess.run(
        [sys.executable, '-c', _PROBE, str(archive)], capture_output=True, text=True, check=True
    )
    imported = set(done.stdout.split()) - set(sys.stdlib_module_names)
    assert {name for name in imported if not name.startswith('_')} == {
        'cv2', 'numpy', 'visionscaling_ros'
    }  # fmt: skip
    names = zipfile.ZipFile(archive).namelist()
    assert 'visionscaling_ros/vision/decoders/ssd.py' in names


def test_a_model_whose_tensor_is_sent_is_the_network_alone(tmp_path: Path) -> None:
    pytest.importorskip('onnxscript')
    catalog = catalog_of(write_vsdet(tmp_path, **TENSOR))
    folder = write(catalog, tmp_path / 'out', 'small', backend='python', device='gpu')
    assert [path.name for path in folder.iterdir()] == ['small']
    config = config_of(folder / 'small')
    assert config.backend == 'python'
    assert config.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_GPU
    assert tensors_of(config.input) == {'images': ('FP32', [3, -1, -1])}
    assert {path.name for path in (folder / 'small' / '1').iterdir()} == {
        'model.onnx', 'model.py', 'visionscaling_ros.zip'
    }  # fmt: skip
    assert 'import NetworkModel as' in (folder / 'small' / '1' / 'model.py').read_text()


def test_torchscript_is_written_for_the_pytorch_backend(catalog: Catalog, tmp_path: Path) -> None:
    import torch

    from visionscaling_ros.vision.engines.torch_files import load_torchscript

    folder = write(catalog, tmp_path, 'small', backend='pytorch')
    config = config_of(folder / 'small_network')
    assert (config.backend, config.platform) == ('pytorch', 'pytorch_libtorch')
    assert tensors_of(config.input) == {'INPUT__0': ('FP32', [3, -1, -1])}
    assert list(tensors_of(config.output)) == ['OUTPUT__0', 'OUTPUT__1']
    module = load_torchscript(folder / 'small_network' / '1' / 'model.pt')
    scores, boxes = module(torch.zeros(3, 3, 64, 96))
    assert (tuple(scores.shape), tuple(boxes.shape)) == ((3, 126, 3), (3, 126, 4))


def test_a_network_for_one_image_gets_no_batches(tmp_path: Path) -> None:
    onnx = pytest.importorskip('onnx')
    helper = onnx.helper
    node = helper.make_node('Identity', ['pixels'], ['found'])
    shape = [1, 3, 64, 64]
    graph = helper.make_graph(
        [node], 'g',
        [helper.make_tensor_value_info('pixels', onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info('found', onnx.TensorProto.FLOAT, shape)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=10)
    onnx.save(model, tmp_path / 'own.onnx')
    path = write_manifest(tmp_path, format='onnx', file='own.onnx')
    config = config_of(write(catalog_of(path), tmp_path / 'out') / 'own_network')
    assert config.max_batch_size == 0
    assert not config.HasField('dynamic_batching')
    assert tensors_of(config.input) == {'pixels': ('FP32', shape)}


def test_names_that_are_not_in_the_file_are_refused(tmp_path: Path) -> None:
    pytest.importorskip('onnxscript')
    upload = {'offload': {'payload': 'tensor', 'input': 'pixels'}}
    catalog = catalog_of(write_vsdet(tmp_path, **upload))
    with pytest.raises(InvalidValueError, match=r'pixels.*images'):
        write(catalog, tmp_path / 'out', 'small')
    assert list((tmp_path / 'out').iterdir()) == []
    with pytest.raises(InvalidValueError, match='NAME__PLACE'):
        write(catalog, tmp_path / 'out', 'small', backend='pytorch')


def test_what_is_there_already_stays(catalog: Catalog, repository: Path) -> None:
    before = (repository / 'small' / 'config.pbtxt').read_bytes()
    with pytest.raises(InvalidValueError, match='without this model'):
        write(catalog, repository, 'small', max_batch=2)
    assert (repository / 'small' / 'config.pbtxt').read_bytes() == before


@pytest.mark.parametrize(
    ('changes', 'backend', 'named'),
    [
        ({}, 'onnxruntime', 'own is torchscript'),
        ({'format': 'torch_export'}, 'auto', 'format'),
        ({'format': 'onnx'}, 'pytorch', 'own is onnx'),
        ({}, 'pytorch', r'own\.pt is not there'),
    ],
)
def test_what_a_backend_cannot_run_is_refused(
    tmp_path: Path, changes: dict[str, Any], backend: str, named: str
) -> None:
    entries = manifest_entries(write_manifest(tmp_path, **changes))
    with pytest.raises(VisionScalingError, match=named):
        write_repository(entries, tmp_path / 'out', RepositoryOptions(backend=backend))


@pytest.mark.parametrize(
    'options',
    [{'backend': 'tensorrt'}, {'device': 'tpu'}, {'instances': 0}, {'max_batch': 0},
     {'batch_delay_us': -1}, {'threads': 0}],
)  # fmt: skip
def test_options_out_of_range_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(options))):
        RepositoryOptions(**options)


def test_the_command_writes_what_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    path = write_vsdet(tmp_path)
    parser = argparse.ArgumentParser()
    export_repository.add_arguments(parser)
    out = tmp_path / 'out'
    arguments = ['--out', str(out), '--manifest', str(path), '--models', 'small',
                 '--backend', 'pytorch', '--max-batch', '2']  # fmt: skip
    assert export_repository.run(parser.parse_args(arguments)) == 0
    assert f'wrote small to {out}' in capsys.readouterr().out
    assert config_of(out / 'small_network').max_batch_size == 2
    settings = json.loads((out / 'small_postprocess' / '1' / 'settings.json').read_text())
    assert settings['classes'] == ['cat', 'dog', 'owl']
