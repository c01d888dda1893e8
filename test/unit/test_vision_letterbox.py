from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.datatypes import Detections
from visionscaling_ros.errors import ImageFormatError, InvalidValueError
from visionscaling_ros.vision.letterbox import fitted_size_px, letterbox, scale_detections

SIDES = st.integers(1, 700)
INPUT_SIZES = st.integers(1, 14).map(lambda n: n * 32)


@given(width_px=SIDES, height_px=SIDES, size_px=INPUT_SIZES)
def test_fits_without_wasting_computation(width_px: int, height_px: int, size_px: int) -> None:
    padded, geometry = letterbox(np.zeros((height_px, width_px, 3), np.uint8), size_px)
    assert padded.shape == (geometry.height_px, geometry.width_px, 3)
    assert max(padded.shape[:2]) == size_px
    assert geometry.width_px % 32 == geometry.height_px % 32 == 0
    inner_width_px, inner_height_px = fitted_size_px(width_px, height_px, size_px)
    assert 0 <= geometry.width_px - inner_width_px < 32
    assert 0 <= geometry.height_px - inner_height_px < 32


@given(width_px=SIDES, height_px=SIDES, size_px=INPUT_SIZES, seed=st.integers(0, 99))
def test_boxes_go_there_and_back(width_px: int, height_px: int, size_px: int, seed: int) -> None:
    _, geometry = letterbox(np.zeros((height_px, width_px, 3), np.uint8), size_px)
    corners = np.random.default_rng(seed).uniform(0, [width_px, height_px], (5, 2, 2))
    boxes_px = np.sort(corners, axis=1).reshape(5, 4).astype(np.float32)
    back_px = geometry.boxes_to_source(geometry.boxes_to_input(boxes_px))
    np.testing.assert_allclose(back_px, boxes_px, atol=1e-2)


def test_boxes_are_clipped_to_the_source() -> None:
    _, geometry = letterbox(np.zeros((480, 640, 3), np.uint8), 320)
    boxes_px = geometry.boxes_to_source(np.array([[-9, -9, 400, 256]], np.float32))
    assert boxes_px.tolist() == [[0, 0, 640, 480]]


def test_four_to_three_is_not_padded_to_a_square() -> None:
    padded, _ = letterbox(np.full((480, 640, 3), 7, np.uint8), 320)
    assert padded.shape == (256, 320, 3)
    assert (padded[:240] == 7).all()
    assert (padded[240:] == 114).all()


@pytest.mark.parametrize('size_px', [0, -32, 100, 31])
def test_refuses_sizes(size_px: int) -> None:
    with pytest.raises(InvalidValueError, match='multiples of 32'):
        letterbox(np.zeros((48, 64, 3), np.uint8), size_px)


@pytest.mark.parametrize(
    'image',
    [np.zeros((48, 64), np.uint8), np.zeros((48, 64, 4), np.uint8), np.zeros((4, 6, 3), float),
     np.zeros((0, 64, 3), np.uint8)],
)  # fmt: skip
def test_refuses_images(image: np.ndarray) -> None:
    with pytest.raises(ImageFormatError, match='allowed'):
        letterbox(image, 320)


def test_detections_of_an_uploaded_image_scale_back() -> None:
    found = Detections(
        np.array([[10, 20, 30, 40]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64)
    )
    scaled = scale_detections(found, from_size_px=(320, 240), to_size_px=(640, 480))
    assert scaled.boxes_px.tolist() == [[20, 40, 60, 80]]
