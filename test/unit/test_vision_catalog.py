from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from vision_models import (
    CLASSES,
    SIZES_PX,
    write_manifest,
    write_torchscript,
    write_vsdet,
    yolox_predictions,
)

from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.vision.catalog import Catalog, built_in_catalog
from visionscaling_ros.vision.checksum import sha256_of
from visionscaling_ros.vision.detector import detect

MAX_WEIGHTS_BYTES = 10_000_000


def test_shipped_models_are_there_cheapest_first() -> None:
    catalog = built_in_catalog()
    names = catalog.names()
    assert names[:2] == ('vsdet_n', 'vsdet_s')
    memory = [catalog.entry(name).memory_bytes for name in names]
    assert memory == sorted(memory)
    assert not set(names) & set(catalog.downloadable())


def test_the_public_family_is_known_with_sources() -> None:
    catalog = built_in_catalog()
    for size in ('nano', 'tiny', 's', 'm', 'l', 'x'):
        manifest = catalog.entry(f'yolox_{size}').manifest
        assert manifest.download is not None
        assert manifest.download.url.endswith(f'/yolox_{size}.onnx')
        assert manifest.sha256 is not None
        assert len(manifest.class_names) == 80
        assert 'COCO' in yaml.safe_load(manifest.path.read_text())['accuracy']['source']


def test_accuracy_table_covers_every_point_and_pays_for_cost() -> None:
    catalog = built_in_catalog()
    names = [name for name in catalog.names() if name.startswith('vsdet')]
    table = {
        name: [catalog.entry(name).accuracy_map(s) for s in catalog.entry(name).input_sizes_px]
        for name in names
    }
    for accuracies in table.values():
        assert accuracies == sorted(accuracies)  # a larger input is worth its time
    for cheaper, dearer in itertools.pairwise(names):
        assert table[cheaper][-1] < table[dearer][-1]


def test_shipped_weights_are_small_enough() -> None:
    catalog = built_in_catalog()
    files = {catalog.entry(n).manifest.file for n in catalog.names() if n.startswith('vsdet')}
    assert sum(file.stat().st_size for file in files) < MAX_WEIGHTS_BYTES


def test_unknown_names_sizes_engines_and_devices_are_named() -> None:
    catalog = built_in_catalog()
    with pytest.raises(InvalidValueError, match=r"vsdet_k.*vsdet_n.*did you mean 'vsdet_"):
        catalog.entry('vsdet_k')
    with pytest.raises(InvalidValueError, match=r'333.*320'):
        catalog.entry('vsdet_n').accuracy_map(333)
    with pytest.raises(InvalidValueError, match=r'abacus.*torch, onnxruntime, openvino'):
        catalog.load('vsdet_n', engine='abacus')
    with pytest.raises(InvalidValueError, match='abacus'):
        catalog.load('vsdet_n', engine_of_size={320: 'abacus'})
    with pytest.raises(InvalidValueError, match='device'):
        catalog.load('vsdet_n', device='abacus')
    with pytest.raises(InvalidValueError, match=r"'torch'.*onnxruntime.*yolox_s is onnx"):
        catalog.load('yolox_s', engine='torch')


def test_a_file_that_is_not_there_is_named_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path))
    with pytest.raises(ModelError, match=r'own\.yaml: file: .*own\.pt is not there'):
        Catalog([]).with_manifests([write_manifest(tmp_path)]).load('own')
    built_in_catalog.cache_clear()
    with pytest.raises(ModelError, match='visionscaling download yolox_l'):
        built_in_catalog().load('yolox_l')
    built_in_catalog.cache_clear()


def test_listing_models_does_not_import_torch() -> None:
    code = (
        'import sys; from visionscaling_ros.vision.catalog import built_in_catalog; '
        'catalog = built_in_catalog(); catalog.entry(catalog.names()[0]).accuracy_map(320); '
        'print("torch" in sys.modules or "faster_coco_eval" in sys.modules)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'False'


def test_models_of_ones_own_join_and_names_stay_distinct(tmp_path: Path) -> None:
    path = write_vsdet(tmp_path)
    catalog = built_in_catalog().with_manifests([path])
    assert {'small', 'large', 'vsdet_n'} <= set(catalog.names())
    assert catalog.entry('small').width == 0.5
    assert catalog.entry('small').accuracy_map(64) == 0.2
    assert 'small' not in built_in_catalog().names()
    with pytest.raises(InvalidValueError, match=r"name = 'large'.*pair\.yaml"):
        catalog.with_manifests([path])


def test_a_narrow_model_is_loaded_from_the_same_file(tmp_path: Path) -> None:
    catalog = Catalog([]).with_manifests([write_vsdet(tmp_path)])
    assert catalog.names() == ('small', 'large')
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    for name in catalog.names():
        detector = catalog.load(name)
        assert detector.name == name
        assert detector.class_names == tuple(CLASSES)
        assert detector.input_sizes_px == tuple(SIZES_PX)
        detect(detector, image, 64)


def test_classes_and_widths_that_the_weights_do_not_have_are_refused(tmp_path: Path) -> None:
    for changes, named in (
        ({'classes': ['cat', 'dog']}, r'pair\.yaml: classes: .*owl'),
        ({'widths': {'small': 0.3, 'large': 1.0}}, r'pair\.yaml: widths: .*0\.3.*0\.5, 1\.0'),
    ):
        catalog = Catalog([]).with_manifests([write_vsdet(tmp_path, **changes)])
        with pytest.raises(ModelError, match=named):
            catalog.load('small')


@pytest.mark.parametrize('damage', ['truncated', 'garbage', 'empty'])
@pytest.mark.parametrize('network_format', ['vsdet', 'torchscript', 'torch_export'])
def test_a_damaged_file_is_refused_by_name(
    tmp_path: Path, damage: str, network_format: str
) -> None:
    if network_format == 'vsdet':
        path, name, file = write_vsdet(tmp_path), 'small', tmp_path / 'net.safetensors'
    else:
        path, name = write_manifest(tmp_path, format=network_format), 'own'
        file = tmp_path / 'own.pt'
        write_torchscript(file, yolox_predictions(64, 64), (1, 3, 64, 64))
    content = file.read_bytes()
    file.write_bytes(
        {'truncated': content[: len(content) // 2], 'garbage': b'?' * 500, 'empty': b''}[damage]
    )
    with pytest.raises(ModelError, match=f'{file.name}: .*no whole'):
        Catalog([]).with_manifests([path]).load(name)


def test_a_file_with_another_checksum_is_refused(tmp_path: Path) -> None:
    file = tmp_path / 'own.pt'
    write_torchscript(file, yolox_predictions(64, 64), (1, 3, 64, 64))
    right = write_manifest(tmp_path, sha256=sha256_of(file))
    Catalog([]).with_manifests([right]).load('own')
    wrong = write_manifest(tmp_path, sha256='0' * 64)
    with pytest.raises(ModelError, match=rf'own\.yaml: sha256: .*own\.pt has .*{"0" * 64}'):
        Catalog([]).with_manifests([wrong]).load('own')


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    # of the right kind, but reading it fails
    path = write_manifest(tmp_path, file='/proc/self/mem', sha256='0' * 64)
    with pytest.raises(ModelError, match=r'own\.yaml: file: /proc/self/mem cannot be read'):
        Catalog([]).with_manifests([path]).load('own')


def test_a_user_without_a_home_has_models_too() -> None:
    code = (
        'import os; from visionscaling_ros.vision.catalog import built_in_catalog as catalog; '
        'os.setuid(54321); del os.environ["HOME"]; '
        'print(catalog().entry("yolox_s").manifest.file)'
    )
    if os.getuid() != 0:
        pytest.skip('needs root to become another user')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert '/visionscaling_ros-54321/' in done.stdout


def test_memory_grows_with_weights_and_size(tmp_path: Path) -> None:
    catalog = Catalog([]).with_manifests([write_vsdet(tmp_path)])
    small, large = (catalog.entry(name).memory_bytes for name in ('small', 'large'))
    assert 4 * 3 * 96 * 96 < small < large
