from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from vision_models import CLASSES, document, write_manifest

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.catalog import manifest_entries
from visionscaling_ros.vision.decoders.ssd import SsdDecoder
from visionscaling_ros.vision.decoders.yolox import YoloxDecoder
from visionscaling_ros.vision.manifest import load_manifest

URL = 'https://models.example/own.pt'
PRIORS = {'steps_px': [16], 'min_sizes_px': [[20]]}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    manifest = load_manifest(write_manifest(tmp_path))
    assert manifest.name == 'own'
    assert manifest.file == tmp_path / 'own.pt'
    assert manifest.class_names == tuple(CLASSES)
    assert manifest.input.square
    assert manifest.input.centered
    assert manifest.input.padding_value == 0
    assert manifest.output.decoder == YoloxDecoder()
    assert manifest.output.tensors == (0,)
    assert manifest.widths == {'own': None}
    assert manifest.accuracies_map == {'own': {64: 0.2, 96: 0.3}}
    assert (manifest.score_threshold, manifest.iou_threshold) == (0.05, 0.55)


def test_public_class_names_have_a_short_name(tmp_path: Path) -> None:
    names = load_manifest(write_manifest(tmp_path, classes='coco')).class_names
    assert len(set(names)) == 80
    assert (names[0], names[5], names[79]) == ('person', 'bus', 'toothbrush')


def test_settings_of_a_decoder_and_names_of_tensors(tmp_path: Path) -> None:
    output = {
        'decoder': 'ssd', 'background': 'last', 'priors': PRIORS,
        'tensors': {'confidences': 'conf', 'locations': 3},
    }  # fmt: skip
    read = load_manifest(write_manifest(tmp_path, output=output)).output
    assert isinstance(read.decoder, SsdDecoder)
    assert read.decoder.background == 'last'
    assert read.tensors == (3, 'conf')


@pytest.mark.parametrize(
    ('changes', 'payload', 'names'),
    [
        ({}, 'jpeg', ('INPUT__0', ('OUTPUT__0',))),
        ({'format': 'onnx'}, 'jpeg', (None, None)),
        ({'offload': {'payload': 'tensor'}}, 'tensor', ('INPUT__0', ('OUTPUT__0',))),
        ({'format': 'onnx', 'output': {'decoder': 'yolox', 'tensors': {'predictions': 'out'}},
          'offload': {'payload': 'tensor', 'input': 'images'}}, 'tensor', ('images', ('out',))),
        ({'offload': {'input': 'x', 'outputs': {'predictions': 'y'}}}, 'jpeg', ('x', ('y',))),
        ({'format': 'vsdet', 'output': {'decoder': 'vsdet'}, 'offload': {'payload': 'tensor'}},
         'tensor', ('images', ('scores', 'boxes'))),
    ],
)  # fmt: skip
def test_what_is_sent_and_the_names_of_the_tensors_on_the_server(
    tmp_path: Path, changes: dict[str, Any], payload: str, names: tuple[Any, Any]
) -> None:
    upload = load_manifest(write_manifest(tmp_path, **changes)).upload
    assert (upload.payload, (upload.input, upload.outputs)) == (payload, names)
    assert upload.sends_tensor == (payload == 'tensor')


def test_a_download_is_kept_where_the_user_keeps_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path / 'data'))
    path = write_manifest(tmp_path, download={'url': URL, 'size_bytes': 10})
    assert load_manifest(path).file == tmp_path / 'data' / 'visionscaling_ros/models/own.pt'


@pytest.mark.parametrize(
    ('changes', 'measured_px'),
    [
        ({'accuracy': None}, []),
        ({'accuracy': {'file': 'none.yaml'}}, []),
        ({'input_sizes_px': [64, 96, 128]}, [64, 96]),
    ],
)
def test_a_model_need_not_be_measured_to_be_known(
    tmp_path: Path, changes: dict[str, Any], measured_px: list[int]
) -> None:
    path = write_manifest(tmp_path, **{'name': 'own', **changes})
    assert sorted(load_manifest(path).accuracies_map['own']) == measured_px
    (entry,) = manifest_entries(path)
    with pytest.raises(InvalidValueError, match=r'accuracy of own.*128.*visionscaling evaluate'):
        entry.accuracy_map(128)


@pytest.mark.parametrize(
    ('changes', 'named'),
    [
        ({'name': ''}, ['name', 'a text']),
        ({'name': 'a b'}, ['name', "'a b'", 'letters']),
        ({'format': 'onx'}, ['format', "'onx'", "did you mean 'onnx'"]),
        ({'file': None}, ['file', 'present']),
        ({'clases': ['a']}, ['clases', "did you mean 'classes'"]),
        ({'classes': ['a', 'a']}, ['classes[1]', 'every text once']),
        ({'classes': []}, ['classes', 'at least one']),
        ({'classes': 'cocoo'}, ['classes', "did you mean 'coco'"]),
        ({'input_sizes_px': [64, 100]}, ['input_sizes_px', '100', 'multiples of 32']),
        ({'input_sizes_px': [96, 64]}, ['input_sizes_px', 'ascending']),
        ({'score_threshold': 1.5}, ['score_threshold', '1.5', '0.999']),
        ({'iou_threshold': 'high'}, ['iou_threshold', "'high'", 'a number']),
        ({'max_detections': 0}, ['max_detections', '0', '1 to 1000']),
        ({'sha256': 'abc'}, ['sha256', "'abc'", '64 hexadecimal']),
        ({'download': {'url': 'ftp://x', 'size_bytes': 1}}, ['download.url', 'https://']),
        ({'download': {'url': URL}}, ['download.size_bytes', 'present']),
        ({'widths': {'a': 0.5}}, ['widths', 'vsdet']),
        ({'format': 'vsdet', 'output': {'decoder': 'vsdet'}, 'widths': {}},
         ['widths', 'one model']),
        ({'format': 'vsdet'}, ['output.decoder', "'yolox'", 'vsdet']),
        ({'input': {'color': 'rgb'}}, ['input.scale', 'present']),
        ({'input': {'color': 'gbr', 'scale': 1}}, ['input.color', "'gbr'", 'rgb, bgr']),
        ({'input': {'color': 'rgb', 'scale': 1, 'std': [1, 0, 1]}}, ['input.std', 'other than 0']),
        ({'input': {'color': 'rgb', 'scale': 1, 'mean': [1]}}, ['input.mean', '3 channels']),
        ({'input': {'color': 'rgb', 'scale': 1, 'padding': {'too': 'square'}}},
         ['input.padding', 'too', "did you mean 'to'"]),
        ({'output': {'decoder': 'yolo8'}}, ['output.decoder', "did you mean 'yolov8'"]),
        ({'output': {'decoder': 'yolox', 'anchors_per_cell': 3}}, ['output', 'anchors_per_cell']),
        ({'output': {'decoder': 'yolox', 'strides_px': [8.5]}}, ['output.strides_px[0]', '8.5']),
        ({'output': {'decoder': 'yolox', 'tensors': {'boxes': 0}}}, ['output.tensors', 'boxes']),
        ({'output': {'decoder': 'yolox', 'tensors': {'predictions': -1}}},
         ['output.tensors.predictions', '-1']),
        ({'output': {'decoder': 'ssd'}}, ['output.priors', 'present']),
        ({'output': {'decoder': 'ssd', 'priors': {**PRIORS, 'aspect_ratios': [[2], [2]]}}},
         ['output.priors.aspect_ratios', '2 lists', '1']),
        ({'output': {'decoder': 'ssd', 'priors': {**PRIORS, 'max_sizes_px': [[20, 30]]}}},
         ['output.priors.max_sizes_px', 'as many']),
        ({'offload': {'payload': 'tensors'}}, ['offload.payload', "did you mean 'tensor'"]),
        ({'offload': {'inputs': 'x'}}, ['offload', 'inputs', "did you mean 'input'"]),
        ({'offload': {'outputs': {'boxes': 'x'}}}, ['offload.outputs', 'boxes', 'predictions']),
        ({'offload': {'payload': 'tensor'}, 'format': 'onnx'}, ['offload.input', 'with payload']),
        ({'offload': {'payload': 'tensor', 'input': 'images'}, 'format': 'onnx'},
         ['offload.outputs.predictions', 'with payload']),
        ({'accuracy': {'map_50_95': {64: 0.1, 96: 0.2}}}, ['accuracy.source', 'present']),
        ({'accuracy': {'source': 'x', 'map_50_95': {64: 0.1, 96: 2}}},
         ['accuracy.map_50_95.96', '2']),
        ({'accuracy': {'source': 'x', 'map_50_95': {64: 0.1, 90: 0.2}}}, ['map_50_95', '90']),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_the_file_the_field_and_what_is_allowed(
    tmp_path: Path, changes: dict[str, Any], named: list[str]
) -> None:
    path = write_manifest(tmp_path, **{'name': 'own', **changes})
    with pytest.raises(InvalidValueError) as caught:
        load_manifest(path)
    for part in [*named, str(tmp_path)]:
        assert part in str(caught.value)


@pytest.mark.parametrize('text', ['', '[1, 2]', 'name: [', 'name: a\nname: b\n', '\x00'])
def test_what_is_no_mapping_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / 'broken.yaml'
    path.write_text(text)
    with pytest.raises(InvalidValueError, match=r'broken\.yaml'):
        load_manifest(path)
    with pytest.raises(InvalidValueError, match=r'absent\.yaml'):
        load_manifest(tmp_path / 'absent.yaml')


def test_the_examples_of_the_documentation_are_right(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / 'docs' / 'models.md').read_text(encoding='utf-8')
    examples = [part.split('```')[0] for part in text.split('```yaml\n')[1:]]
    whole = [example for example in examples if 'classes:' in example]
    assert len(whole) >= 3
    figures = {'map_50_95': 0.4, 'map_50': 0.6}
    table = {'models': {'gates': {320: figures}}}
    (tmp_path / 'accuracy.yaml').write_text(yaml.safe_dump(table), encoding='utf-8')
    for number, example in enumerate(whole):
        path = tmp_path / f'{number}.yaml'
        path.write_text(example, encoding='utf-8')
        assert load_manifest(path).name == yaml.safe_load(example)['name']


def test_every_field_of_the_reader_is_documented() -> None:
    text = (Path(__file__).parents[2] / 'docs' / 'models.md').read_text(encoding='utf-8')
    for field in (*document(), 'sha256', 'download', 'widths', 'score_threshold', 'iou_threshold',
                  'max_detections', 'mean', 'std', 'padding', 'strides_px', 'anchors_per_cell',
                  'background', 'variances', 'priors', 'decoded', 'tensors',
                  'offload'):  # fmt: skip
        assert f'`{field}`' in text, field
