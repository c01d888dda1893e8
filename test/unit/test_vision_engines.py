"""Engines: the same answer from each, and clear words where one cannot."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from vision_models import (
    Constant,
    write_manifest,
    write_torchscript,
    write_traced,
    write_vsdet,
    yolox_predictions,
)

from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.vision.catalog import Catalog
from visionscaling_ros.vision.detector import Detector, detect
from visionscaling_ros.vision.model_loading import exported_onnx

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def need(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f'{module} is not installed')


@pytest.fixture(scope='module')
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp('cache')
        patch.setenv('XDG_CACHE_HOME', str(folder))
        yield folder


@pytest.fixture(scope='module')
def pair(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return Catalog([]).with_manifests([write_vsdet(tmp_path_factory.mktemp('pair'))])


def forward(detector: Detector, image: np.ndarray, size_px: int) -> tuple[np.ndarray, ...]:
    return detector.forward(detector.preprocess(image, size_px)).tensors


@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino'])
@pytest.mark.parametrize('shape', [(48, 64), (64, 64), (96, 32), (33, 64)])
def test_every_engine_gives_what_torch_gives(
    engine: str, shape: tuple[int, int], pair: Catalog, cache: Path
) -> None:
    need(engine, 'onnxscript')
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    reference, other = pair.load('small'), pair.load('small', engine=engine)
    for size_px in (64, 96):  # one file for every shape of input
        for expected, got in zip(
            forward(reference, image, size_px), forward(other, image, size_px), strict=True
        ):
            np.testing.assert_allclose(got, expected, atol=1e-3, rtol=1e-3)
        expected_found = detect(reference, image, size_px)
        found = detect(other, image, size_px)
        assert len(found) == len(expected_found) > 0
        np.testing.assert_allclose(found.boxes_px, expected_found.boxes_px, atol=0.05)


def test_an_export_is_made_once(pair: Catalog, cache: Path) -> None:
    need('onnxruntime', 'onnxscript')
    pair.load('small', engine='onnxruntime')
    (exported,) = (cache / 'visionscaling_ros' / 'onnx').glob('small-*.onnx')
    made = exported.stat().st_mtime_ns
    pair.load('small', engine='onnxruntime')
    assert exported.stat().st_mtime_ns == made
    assert list(exported.parent.iterdir()) == [exported]


def test_an_export_of_another_width_is_another_file(tmp_path: Path, cache: Path) -> None:
    need('onnxscript')
    paths = set()
    for width in (0.5, 1.0):
        manifest = write_vsdet(tmp_path, widths={'changed': width})
        paths.add(exported_onnx(Catalog([]).with_manifests([manifest]).entry('changed')))
    assert len(paths) == 2


def test_a_cache_that_cannot_be_written_is_named(
    pair: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', '/dev/null/cache')
    with pytest.raises(ModelError, match=r'/dev/null/cache.*ONNX of small cannot be written'):
        pair.load('small', engine='onnxruntime')


@pytest.mark.parametrize('device', ['abacus', 'cuda:x', 'cuda'])
def test_onnxruntime_refuses_devices_it_has_not(pair: Catalog, cache: Path, device: str) -> None:
    need('onnxruntime', 'onnxscript')
    import onnxruntime

    if device == 'cuda' and 'CUDAExecutionProvider' in onnxruntime.get_available_providers():
        pytest.skip('there is one')
    with pytest.raises(InvalidValueError, match=f"device = '{device}'.*allowed: cpu"):
        pair.load('small', engine='onnxruntime', device=device)


def test_auto_follows_the_profile_size_by_size(pair: Catalog, cache: Path) -> None:
    need('onnxruntime', 'onnxscript')
    detector = pair.load('small', engine_of_size={96: 'onnxruntime'})
    # torch reads channels last, onnxruntime planes
    assert detector.preprocess(IMAGE, 64).batch.shape == (1, 64, 64, 3)
    assert detector.preprocess(IMAGE, 96).batch.shape == (1, 3, 96, 96)
    reference = pair.load('small')
    for size_px in (64, 96):
        for expected, got in zip(
            forward(reference, IMAGE, size_px), forward(detector, IMAGE, size_px), strict=True
        ):
            np.testing.assert_allclose(got, expected, atol=1e-3, rtol=1e-3)


def test_half_precision_stays_close(pair: Catalog) -> None:
    full, half = (pair.load('large', half_precision=flag) for flag in (False, True))
    logits, half_logits = (forward(d, IMAGE, 64)[0] for d in (full, half))
    assert half_logits.dtype == np.float32
    assert 0 < np.abs(logits - half_logits).max() < 0.2


@pytest.mark.parametrize('network_format', ['torchscript', 'torch_export'])
@pytest.mark.parametrize('layout', ['nchw', 'nhwc'])
def test_torch_files(tmp_path: Path, network_format: str, layout: str) -> None:
    shape = (1, 3, 64, 64) if layout == 'nchw' else (1, 64, 64, 3)
    answer = yolox_predictions(64, 64)
    if network_format == 'torchscript':
        write_torchscript(tmp_path / 'own.pt', answer, shape)
    else:
        program = torch.export.export(Constant(answer), (torch.zeros(shape),))
        torch.export.save(program, tmp_path / 'own.pt2')
        (tmp_path / 'own.pt2').rename(tmp_path / 'own.pt')
    path = write_manifest(
        tmp_path, format=network_format,
        input={'layout': layout, 'color': 'rgb', 'scale': 1, 'padding': {'to': 'square'}},
    )  # fmt: skip
    detector = Catalog([]).with_manifests([path]).load('own')
    found = detect(detector, np.zeros((64, 64, 3), np.uint8), 64)
    np.testing.assert_allclose(found.scores, [0.72, 0.3, 0.09, 0.09], atol=1e-6)
    assert found.class_ids.tolist() == [2, 0, 0, 1]
    size_px = 8 * np.e
    np.testing.assert_allclose(
        found.boxes_px[0], [0, 0, 4 + size_px / 2, 4 + size_px / 2], rtol=1e-5
    )


class Named(torch.nn.Module):
    """Answers with a mapping."""

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Nothing anywhere."""
        return {
            'boxes': torch.zeros(1, 84, 4) + 0 * images.sum(),
            'scores': torch.full((1, 84, 3), -9.0),
        }


def test_outputs_are_found_by_name_and_missing_ones_named(tmp_path: Path) -> None:
    write_traced(tmp_path / 'own.pt', Named(), (1, 3, 64, 64))
    for tensors, error in (
        ({'scores': 'scores', 'boxes': 'boxes'}, None),
        ({'scores': 1, 'boxes': 0}, None),
        ({'scores': 'scroes', 'boxes': 0}, "output.tensors: .*'scroes'.*did you mean 'scores'"),
        ({'scores': 1, 'boxes': 7}, 'output.tensors: .* 7 '),
        ({}, 'scores is .1, 84, 4.'),
    ):
        path = write_manifest(tmp_path, output={'decoder': 'vsdet', 'tensors': tensors})
        detector = Catalog([]).with_manifests([path]).load('own')
        if error is None:
            detector.warm_up(64)
        else:
            with pytest.raises(ModelError, match=error):
                detector.warm_up(64)


def test_a_size_the_network_cannot_run_is_told_when_it_is_warmed_up(tmp_path: Path) -> None:
    fixed = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64 * 64, 8))
    write_traced(tmp_path / 'own.pt', fixed, (1, 3, 64, 64))
    detector = Catalog([]).with_manifests([write_manifest(tmp_path)]).load('own')
    with pytest.raises(ModelError, match=r'own\.pt: torch cannot run it.*96'):
        detector.warm_up(96)


def write_onnx(path: Path, answer: np.ndarray, shape: list[Any]) -> None:
    onnx = pytest.importorskip('onnx')
    helper = onnx.helper
    nodes = [
        helper.make_node('ReduceSum', ['images'], ['sum'], keepdims=0),
        helper.make_node('Mul', ['sum', 'zero'], ['nothing']),
        helper.make_node('Add', ['answer', 'nothing'], ['predictions']),
    ]
    graph = helper.make_graph(
        nodes, 'own',
        [helper.make_tensor_value_info('images', onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info('predictions', onnx.TensorProto.FLOAT, answer.shape)],
        [onnx.numpy_helper.from_array(answer, 'answer'),
         onnx.numpy_helper.from_array(np.float32(0), 'zero')],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9)
    onnx.save(model, path)


@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino', 'auto'])
def test_onnx_files_of_ones_own(tmp_path: Path, engine: str) -> None:
    need('onnxruntime' if engine == 'auto' else engine)
    write_onnx(tmp_path / 'own.onnx', yolox_predictions(64, 64), [1, 3, 64, 64])
    path = write_manifest(
        tmp_path, format='onnx', file='own.onnx',
        output={'decoder': 'yolox', 'tensors': {'predictions': 'predictions'}},
    )  # fmt: skip
    detector = Catalog([]).with_manifests([path]).load('own', engine=engine)
    assert detect(detector, IMAGE, 64).class_ids.tolist() == [2, 0, 0, 1]
    with pytest.raises(ModelError, match=r'own\.onnx: .*cannot run it.*96'):
        detector.warm_up(96)  # the file is for 64 px only


@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino'])
def test_damaged_onnx_files_and_missing_tensors_are_named(tmp_path: Path, engine: str) -> None:
    need(engine)
    write_onnx(tmp_path / 'own.onnx', yolox_predictions(64, 64), [1, 3, 64, 64])
    output = {'decoder': 'yolox', 'tensors': {'predictions': 'prediction'}}
    path = write_manifest(tmp_path, format='onnx', file='own.onnx', output=output)
    with pytest.raises(ModelError, match=r"own\.onnx: output\.tensors: .*did you mean 'predic"):
        Catalog([]).with_manifests([path]).load('own', engine=engine)
    content = (tmp_path / 'own.onnx').read_bytes()
    (tmp_path / 'own.onnx').write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r'own\.onnx: file is no whole ONNX'):
        Catalog([]).with_manifests([path]).load('own', engine=engine)


def test_an_extra_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'own.onnx').write_bytes(b'?')
    path = write_manifest(tmp_path, format='onnx', file='own.onnx')
    monkeypatch.setitem(__import__('sys').modules, 'onnxruntime', None)
    with pytest.raises(ModelError, match=r'pip install visionscaling_ros\[onnx\]'):
        Catalog([]).with_manifests([path]).load('own', engine='onnxruntime')


@pytest.mark.parametrize('kind', ['torchscript', 'torch_export', 'onnx'])
def test_what_is_exported_can_be_used_as_a_model_of_ones_own(
    tmp_path: Path, pair: Catalog, kind: str, cache: Path
) -> None:
    from visionscaling_ros.vision.engines.export import export_network
    from visionscaling_ros.vision.model_loading import load_network_module

    if kind == 'onnx':
        need('onnxruntime', 'onnxscript')
    file = tmp_path / {'torchscript': 'o.pt', 'torch_export': 'o.pt2', 'onnx': 'o.onnx'}[kind]
    entry = pair.entry('small')
    if kind == 'onnx':
        shutil.copy(exported_onnx(entry), file)  # by the same function, made once for all tests
    else:
        export_network(load_network_module(entry), kind, file)
    path = write_manifest(
        tmp_path, format=kind, file=file.name, output={'decoder': 'vsdet'},
        input={'color': 'bgr', 'scale': 1.0 / 255.0},
    )  # fmt: skip
    own, reference = Catalog([]).with_manifests([path]).load('own'), pair.load('small')
    for size_px in (64, 96):
        found, expected = (detect(d, IMAGE, size_px) for d in (own, reference))
        assert len(found) == len(expected) > 0
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-3)


def test_the_export_command_writes_a_file_or_says_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    from visionscaling_ros.cli import export

    path = write_vsdet(tmp_path)
    parser = argparse.ArgumentParser()
    export.add_arguments(parser)
    common = ['--manifest', str(path), '--format', 'torchscript']
    out = tmp_path / 'new' / 'small.pt'
    assert export.run(parser.parse_args([*common, '--model', 'small', '--out', str(out)])) == 0
    out_mode = out.stat().st_mode
    (tmp_path / 'any').touch()
    assert out_mode == (tmp_path / 'any').stat().st_mode
    assert list(out.parent.iterdir()) == [out]
    assert 'scores (N, A, classes)' in capsys.readouterr().out
    for model, target, named in (
        ('tiny', out, "'tiny'"),
        ('yolox_s', out, 'large'),
        ('small', tmp_path / 'own.yaml' / 'x.pt', '--out'),
    ):
        (tmp_path / 'own.yaml').touch()
        arguments = parser.parse_args([*common, '--model', model, '--out', str(target)])
        with pytest.raises(InvalidValueError, match=named):
            export.run(arguments)


def test_bench_vision_measures_every_point(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    from visionscaling_ros.cli import bench_vision

    parser = argparse.ArgumentParser()
    bench_vision.add_arguments(parser)
    files = ['--json', str(tmp_path / 'b.json'), '--plot', str(tmp_path / 'b.png')]
    which = ['--manifest', str(write_vsdet(tmp_path)), '--models', 'small', 'large']
    rounds = ['--engines', 'torch', '--rounds', '3']
    assert bench_vision.run(parser.parse_args([*which, *rounds, *files])) == 0
    points = json.loads((tmp_path / 'b.json').read_text())['points']
    assert [(p['model'], p['input_size_px']) for p in points] == [
        ('small', 64), ('small', 96), ('large', 64), ('large', 96)
    ]  # fmt: skip
    for point in points:
        around_ms = point['preprocess_ms'] + point['postprocess_ms']
        assert point['around_share'] == pytest.approx(around_ms / point['forward_ms'], rel=0.05)
        assert point['plain_ms'] > 0
    assert points[0]['gflops'] < points[1]['gflops'] < points[3]['gflops']
    assert (tmp_path / 'b.png').stat().st_size > 1000
    assert 'small@64' in capsys.readouterr().out
    for wrong, named in ((['--rounds', '1'], 'rounds'), (['--engines', 'abacus'], '--engines')):
        with pytest.raises(InvalidValueError, match=named):
            bench_vision.run(parser.parse_args([*which, *wrong]))


OPENVINO_COMES_AND_GOES = """
import gc, signal
import torch
from visionscaling_ros.vision.catalog import built_in_catalog
signal.signal(signal.SIGTERM, lambda *_: print('heard'))
catalog = built_in_catalog()
detectors = [catalog.load(name, engine='openvino') for name in ('vsdet_n', 'vsdet_s')]
for detector in detectors:
    detector.warm_up(192)
while detectors:
    del detectors[0], detector
    gc.collect()
    detector = None
signal.raise_signal(signal.SIGTERM)
"""


def test_a_process_hears_signals_after_openvino_models_have_come_and_gone():
    pytest.importorskip('openvino')
    command = [sys.executable, '-c', OPENVINO_COMES_AND_GOES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ['heard']), done.stderr


def test_onnxruntime_tells_nobody_what_is_run(tmp_path: Path) -> None:
    pytest.importorskip('onnxruntime')
    code = """
from visionscaling_ros.vision.engines.extras import import_extra
import_extra('onnxruntime')
"""
    silencing = ('CI', 'XDG_CACHE_HOME', 'ORT_DISABLE_TELEMETRY', 'ORT_RUNNING_UNIT_TESTS')
    environment = {key: value for key, value in os.environ.items() if key not in silencing}
    subprocess.run(
        [sys.executable, '-c', code], env={**environment, 'HOME': str(tmp_path)}, check=True
    )
    assert list(tmp_path.iterdir()) == []  # its store of reports would lie here
