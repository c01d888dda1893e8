"""What a robot makes of a network's output that it asked of a server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vision_models import write_vsdet

from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.errors import EdgeError
from visionscaling_ros.nodes.frame_encoder import FrameEncoder
from visionscaling_ros.serving.tensor_model import ManifestTensorModel, tensor_models
from visionscaling_ros.vision.catalog import Catalog, manifest_entries

SIZE_PX = 96
TENSOR = {'offload': {'payload': 'tensor'}}


def picture_bgr(width_px: int = 120, height_px: int = 70) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), np.uint8)


def frame_of(image_bgr: np.ndarray, **changes) -> OffloadFrame:
    values = {
        'frame_number': 1,
        'slot': 0,
        'model': 'small',
        'input_size_px': SIZE_PX,
        'payload': b'',
        'image_width_px': image_bgr.shape[1],
        'image_height_px': image_bgr.shape[0],
        'deadline_monotonic_s': 1.0,
        'tensor_shape': (1, 3, 64, 96),
    }
    return OffloadFrame(**{**values, **changes})


@pytest.fixture(scope='module')
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    path: Path = write_vsdet(tmp_path_factory.mktemp('models'), **TENSOR)
    return Catalog(manifest_entries(path))


def test_what_the_robot_decodes_is_what_it_would_have_found_itself(catalog: Catalog) -> None:
    detector = catalog.load('small', engine='torch')
    image_bgr = picture_bgr()
    prepared = detector.preprocess(image_bgr, SIZE_PX)
    raw = detector.forward(prepared)
    own = detector.postprocess(raw, prepared)
    assert len(own) > 0
    model = tensor_models(catalog)['small']
    assert (model.input_name, model.output_names) == ('images', ('scores', 'boxes'))
    found = model.decode(raw.tensors, frame_of(image_bgr)).to_pixels(120, 70)
    np.testing.assert_allclose(found.boxes_px, own.boxes_px, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(found.scores, own.scores)
    np.testing.assert_array_equal(found.class_ids, own.class_ids)


def test_the_tensor_sent_is_what_the_network_reads(catalog: Catalog) -> None:
    image_bgr = picture_bgr()
    batch = catalog.load('small', engine='torch').preprocess(image_bgr, SIZE_PX).batch
    payload = FrameEncoder(catalog, lambda: 80)(image_bgr, 'small', SIZE_PX)
    assert payload.tensor_shape == (1, 3, 64, 96)
    sent = np.frombuffer(payload.data, np.float32).reshape(payload.tensor_shape)
    np.testing.assert_array_equal(sent, batch.transpose(0, 3, 1, 2))  # torch's are channels last


def test_a_tensor_handed_over_is_not_overwritten_by_the_next(catalog: Catalog) -> None:
    encode = FrameEncoder(catalog, lambda: 80)
    first = encode(picture_bgr(), 'small', SIZE_PX)
    before = bytes(bytearray(first.data))
    encode(255 - picture_bgr(), 'small', SIZE_PX)
    assert first.data == before


def test_a_model_without_the_field_sends_a_jpeg(tmp_path: Path) -> None:
    catalog = Catalog(manifest_entries(write_vsdet(tmp_path)))
    assert not tensor_models(catalog)
    payload = FrameEncoder(catalog, lambda: 80)(picture_bgr(), 'small', SIZE_PX)
    assert payload.tensor_shape is None
    assert payload.data.startswith(b'\xff\xd8')


def good_tensors(catalog: Catalog) -> list[np.ndarray]:
    anchors = sum((64 // s) * (96 // s) for s in (8, 16, 32))
    return [np.zeros((1, anchors, 3), np.float32), np.zeros((1, anchors, 4), np.float32)]


@pytest.mark.parametrize(
    ('damage', 'named'),
    [
        (lambda t: t[0].__setitem__((0, 0, 0), np.nan), 'scores has values that are not finite'),
        (lambda t: t[1].fill(np.inf), 'boxes has values that are not finite'),
        (lambda t: t.__setitem__(0, t[0][:, :-1]), r'output scores is \(1, 125, 3\)'),
        (lambda t: t.__setitem__(1, t[1].reshape(-1)), r'output boxes is \(504,\)'),
        (lambda t: t.reverse(), 'output scores is'),
    ],
)
def test_what_cannot_be_read_is_an_edge_error(catalog: Catalog, damage, named: str) -> None:
    tensors = good_tensors(catalog)
    model = ManifestTensorModel(catalog.entry('small'))
    assert len(model.decode(tensors, frame_of(picture_bgr()))) > 0
    damage(tensors)
    with pytest.raises(EdgeError, match=named):
        model.decode(tensors, frame_of(picture_bgr()))


@pytest.mark.parametrize(
    'changes',
    [{'tensor_shape': (1, 3, 96, 96)}, {'tensor_shape': None}, {'input_size_px': 100},
     {'image_width_px': 0}],
)  # fmt: skip
def test_a_frame_of_another_geometry_is_an_edge_error(catalog: Catalog, changes) -> None:
    model = ManifestTensorModel(catalog.entry('small'))
    with pytest.raises(EdgeError):
        model.decode(good_tensors(catalog), frame_of(picture_bgr(), **changes))
