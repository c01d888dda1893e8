from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from visionscaling_ros.errors import ImageFormatError
from visionscaling_ros.vision.image_formats import ENCODINGS, to_bgr

PICTURES = st_np.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)))
ORDERS = {'bgr8': [0, 1, 2], 'rgb8': [2, 1, 0], 'bgra8': [0, 1, 2, 0], 'rgba8': [2, 1, 0, 1]}


def smooth_picture() -> np.ndarray:
    """Colours that survive chroma subsampling."""
    rows, columns = np.mgrid[0:32, 0:48]
    picture = np.stack([rows * 4 + 40, columns * 3 + 30, rows + columns + 60], -1)
    return picture.astype(np.uint8)


def pad(rows: np.ndarray, padding: int) -> bytes:
    flat = rows.reshape(len(rows), -1)
    return np.hstack([flat, np.full((len(rows), padding), 99, np.uint8)]).tobytes()


@given(picture=PICTURES, encoding=st.sampled_from(sorted(ORDERS)), padding=st.integers(0, 7))
def test_channel_orders_and_padded_rows(picture: np.ndarray, encoding: str, padding: int) -> None:
    stored = picture[..., ORDERS[encoding]]
    image = to_bgr(
        pad(stored, padding),
        height_px=picture.shape[0],
        width_px=picture.shape[1],
        step=picture.shape[1] * stored.shape[2] + padding,
        encoding=encoding,
    )
    np.testing.assert_array_equal(image, picture)


@given(grey=st_np.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_grey(grey: np.ndarray) -> None:
    height_px, width_px = grey.shape
    image = to_bgr(
        grey.tobytes(), height_px=height_px, width_px=width_px, step=width_px, encoding='mono8'
    )
    np.testing.assert_array_equal(image, np.stack([grey] * 3, -1))


@pytest.mark.parametrize('encoding', ['yuv422_yuy2', 'yuyv'])
@pytest.mark.parametrize('padding', [0, 6])
def test_yuy2(encoding: str, padding: int) -> None:
    picture = smooth_picture()
    stored = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_YUY2)
    image = to_bgr(
        pad(stored, padding), height_px=32, width_px=48, step=96 + padding, encoding=encoding
    )
    assert np.abs(image.astype(int) - picture).max() <= 6


@pytest.mark.parametrize('padding', [0, 16])
def test_nv12(padding: int) -> None:
    picture = smooth_picture()
    planar = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420).reshape(-1)
    luma, u, v = planar[:1536], planar[1536:1920], planar[1920:]
    stored = np.concatenate([luma, np.stack([u, v], -1).reshape(-1)]).reshape(48, 48)
    image = to_bgr(
        pad(stored, padding), height_px=32, width_px=48, step=48 + padding, encoding='nv12'
    )
    assert image.shape == (32, 48, 3)
    assert np.abs(image.astype(int) - picture).max() <= 8


def test_bayer_knows_red_from_blue() -> None:
    mosaic = np.zeros((8, 8), np.uint8)
    mosaic[::2, ::2] = 200  # red places of RGGB
    image = to_bgr(mosaic.tobytes(), height_px=8, width_px=8, step=8, encoding='bayer_rggb8')
    assert (image[2:6, 2:6, 2] == 200).all()
    assert (image[2:6, 2:6, :2] == 0).all()


def test_bgr_without_padding_is_not_copied() -> None:
    data = np.zeros(4 * 6 * 3, np.uint8)
    image = to_bgr(memoryview(data), height_px=4, width_px=6, step=18, encoding='bgr8')
    assert np.shares_memory(image, data)


def test_last_row_may_lack_its_padding() -> None:
    data = bytes(20 + 18)
    assert to_bgr(data, height_px=2, width_px=6, step=20, encoding='bgr8').shape == (2, 6, 3)


@pytest.mark.parametrize(
    ('change', 'named'),
    [
        ({'encoding': 'bgr16'}, "'bgr16'"),
        ({'encoding': ''}, "''"),
        ({'height_px': 0}, '6x0'),
        ({'width_px': 0}, '0x4'),
        ({'step': 17}, '17'),
        ({'step': 0}, '0'),
        ({'step': 19}, '72'),
        ({'height_px': 5}, '72'),
        ({'width_px': 5, 'encoding': 'yuyv'}, '5x4'),
        ({'height_px': 3, 'encoding': 'nv12'}, '6x3'),
    ],
)
def test_bad_images_are_named(change: dict[str, object], named: str) -> None:
    arguments: dict[str, object] = {
        'height_px': 4, 'width_px': 6, 'step': 18, 'encoding': 'bgr8', **change
    }  # fmt: skip
    with pytest.raises(ImageFormatError, match=named):
        to_bgr(bytes(72), **arguments)


@given(
    data=st.binary(max_size=200),
    height_px=st.integers(-2, 12),
    width_px=st.integers(-2, 12),
    step=st.integers(-2, 60),
    encoding=st.sampled_from(sorted(ENCODINGS)),
)
def test_any_header_gives_a_picture_or_a_named_error(
    data: bytes, height_px: int, width_px: int, step: int, encoding: str
) -> None:
    try:
        image = to_bgr(data, height_px=height_px, width_px=width_px, step=step, encoding=encoding)
    except ImageFormatError:
        return
    assert image.shape == (height_px, width_px, 3)
    assert int(image.sum()) >= 0  # every pixel can be read
