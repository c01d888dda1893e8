from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.errors import ImageFormatError, InvalidValueError
from visionscaling_ros.vision.input_format import InputFormat
from visionscaling_ros.vision.input_writer import InputWriter
from visionscaling_ros.vision.letterbox import fit, fitted_size_px, resize_image

SIDES = st.integers(1, 700)
INPUT_SIZES = st.integers(1, 14).map(lambda n: n * 32)
FLAGS = st.booleans()


def write(
    image: np.ndarray, size_px: int, input_format: InputFormat, *, channels_last: bool = True
) -> np.ndarray:
    """What the network gets, as (H, W, 3)."""
    writer = InputWriter(input_format, np.empty, channels_last=channels_last)
    batch = writer.write(image, size_px).batch.astype(np.float32)
    return batch[0] if channels_last else batch[0].transpose(1, 2, 0)


@given(width_px=SIDES, height_px=SIDES, size_px=INPUT_SIZES)
def test_fits_without_wasting_computation(width_px: int, height_px: int, size_px: int) -> None:
    geometry = fit(width_px, height_px, size_px)
    assert max(geometry.width_px, geometry.height_px) == size_px
    assert geometry.width_px % 32 == geometry.height_px % 32 == 0
    inner_width_px, inner_height_px = fitted_size_px(width_px, height_px, size_px)
    assert geometry.inner_size_px == (inner_width_px, inner_height_px)
    assert 0 <= geometry.width_px - inner_width_px < 32
    assert 0 <= geometry.height_px - inner_height_px < 32


@given(width_px=SIDES, height_px=SIDES, size_px=INPUT_SIZES, centered=FLAGS)
def test_a_square_holds_the_whole_image(
    width_px: int, height_px: int, size_px: int, centered: bool
) -> None:
    geometry = fit(width_px, height_px, size_px, square=True, centered=centered)
    assert (geometry.width_px, geometry.height_px) == (size_px, size_px)
    inner_width_px, inner_height_px = geometry.inner_size_px
    right_px = size_px - inner_width_px - geometry.offset_x_px
    below_px = size_px - inner_height_px - geometry.offset_y_px
    assert min(right_px, below_px) == 0 or centered
    if centered:
        assert 0 <= right_px - geometry.offset_x_px <= 1
        assert 0 <= below_px - geometry.offset_y_px <= 1


@given(
    width_px=SIDES, height_px=SIDES, size_px=INPUT_SIZES, square=FLAGS, centered=FLAGS,
    seed=st.integers(0, 99),
)  # fmt: skip
def test_boxes_go_there_and_back(
    width_px: int, height_px: int, size_px: int, square: bool, centered: bool, seed: int
) -> None:
    geometry = fit(width_px, height_px, size_px, square=square, centered=centered)
    corners = np.random.default_rng(seed).uniform(0, [width_px, height_px], (5, 2, 2))
    boxes_px = np.sort(corners, axis=1).reshape(5, 4).astype(np.float32)
    scale = np.array([geometry.scale_x, geometry.scale_y] * 2)
    offset_px = np.array([geometry.offset_x_px, geometry.offset_y_px] * 2)
    back_px = geometry.boxes_to_source((boxes_px * scale + offset_px).astype(np.float32))
    np.testing.assert_allclose(back_px, boxes_px, atol=0.05)


def test_boxes_are_clipped_to_the_source() -> None:
    geometry = fit(640, 480, 320)
    boxes_px = geometry.boxes_to_source(np.array([[-9, -9, 400, 256]], np.float32))
    assert boxes_px.tolist() == [[0, 0, 640, 480]]


def test_four_to_three_is_not_padded_to_a_square() -> None:
    padded = write(np.full((480, 640, 3), 7, np.uint8), 320, InputFormat(scale=1.0))
    assert padded.shape == (256, 320, 3)
    assert (padded[:240] == 7).all()
    assert (padded[240:] == 114).all()


@pytest.mark.parametrize('channels_last', [True, False])
@pytest.mark.parametrize('color', ['bgr', 'rgb'])
@pytest.mark.parametrize(
    ('scale', 'mean', 'std'),
    [
        (1 / 255, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        (1 / 255, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
        (1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        (1.0, (104.0, 117.0, 123.0), (1.0, 1.0, 1.0)),
    ],
)
def test_numbers_are_what_the_formula_says(
    channels_last: bool, color: str, scale: float, mean: tuple, std: tuple
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    input_format = InputFormat(color=color, scale=scale, mean=mean, std=std, padding_value=9)
    got = write(image, 64, input_format, channels_last=channels_last)
    pixels = np.full((64, 64, 3), 9.0)
    pixels[:48] = image if color == 'bgr' else image[..., ::-1]
    np.testing.assert_allclose(got, (pixels * scale - mean) / std, rtol=1e-5, atol=1e-5)


def test_memory_is_used_again_and_padding_stays() -> None:
    writer = InputWriter(InputFormat(scale=1.0, centered=True), np.empty, channels_last=True)
    first = writer.write(np.full((60, 128, 3), 1, np.uint8), 128).batch
    second = writer.write(np.full((60, 128, 3), 2, np.uint8), 128).batch
    assert np.shares_memory(first, second)
    assert (second[0, 2:62] == 2).all()
    assert (second[0, :2] == 114).all()
    assert (second[0, 62:] == 114).all()
    turned = writer.write(np.full((128, 60, 3), 3, np.uint8), 128)
    assert turned.batch.shape == (1, 128, 64, 3)
    assert (turned.batch[0, :, 2:62] == 3).all()


@given(
    width_px=st.integers(1, 400), height_px=st.integers(1, 400), to_width=st.integers(1, 400),
    to_height=st.integers(1, 400),
)  # fmt: skip
def test_resizing_keeps_even_colours(
    width_px: int, height_px: int, to_width: int, to_height: int
) -> None:
    resized = resize_image(np.full((height_px, width_px, 3), 77, np.uint8), to_width, to_height)
    assert resized.shape == (to_height, to_width, 3)
    assert (resized == 77).all()


@pytest.mark.parametrize('to_px', [(320, 240), (160, 120), (192, 144), (256, 192), (416, 312)])
def test_shrinking_does_not_alias(to_px: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    averaged = cv2.resize(image, to_px, interpolation=cv2.INTER_AREA).astype(float)
    resized = resize_image(image, *to_px).astype(float)
    # noise is averaged away alike: picking pixels would leave all of it
    assert resized.std() < 1.3 * averaged.std() + 2.0
    assert abs(resized.mean() - averaged.mean()) < 1.0


@pytest.mark.parametrize('size_px', [0, -32, 100, 31])
def test_refuses_sizes(size_px: int) -> None:
    with pytest.raises(InvalidValueError, match='multiples of 32'):
        fit(64, 48, size_px)


@pytest.mark.parametrize(
    'image',
    [np.zeros((48, 64), np.uint8), np.zeros((48, 64, 4), np.uint8), np.zeros((4, 6, 3), float),
     np.zeros((0, 64, 3), np.uint8)],
)  # fmt: skip
def test_refuses_images(image: np.ndarray) -> None:
    with pytest.raises(ImageFormatError, match='allowed'):
        write(image, 320, InputFormat())
