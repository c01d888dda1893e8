from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.errors import ImageFormatError, InvalidValueError
from visionscaling_ros.vision.jpeg import decode_jpeg, encode_jpeg, resize_for_upload


def picture() -> np.ndarray:
    rows, columns = np.mgrid[0:48, 0:64]
    return np.stack([rows * 4, columns * 3, rows + columns], -1).astype(np.uint8)


def test_round_trip_stays_close() -> None:
    image = picture()
    back = decode_jpeg(encode_jpeg(image, 95))
    assert back.shape == image.shape
    assert np.abs(back.astype(int) - image).mean() < 2.0


def test_quality_costs_bytes() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    sizes = [len(encode_jpeg(noise, quality)) for quality in (10, 50, 90)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize('quality', [0, 101, -5])
def test_refuses_quality(quality: int) -> None:
    with pytest.raises(InvalidValueError, match='1 to 100'):
        encode_jpeg(picture(), quality)


@pytest.mark.parametrize('shape', [(0, 4, 3), (4, 0, 3), (4, 4), (4, 4, 4)])
def test_refuses_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageFormatError, match='allowed'):
        encode_jpeg(np.zeros(shape, np.uint8))


@given(data=st.binary(max_size=300))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(ImageFormatError, match=str(len(data))):
        decode_jpeg(data)


def test_truncated_header_is_refused() -> None:
    with pytest.raises(ImageFormatError):
        decode_jpeg(encode_jpeg(picture())[:60])


def test_png_is_decoded_too() -> None:
    image = picture()
    _, data = cv2.imencode('.png', image)
    np.testing.assert_array_equal(decode_jpeg(bytes(data)), image)


@pytest.mark.parametrize(
    ('shape', 'size_px', 'expected'),
    [((480, 640), 320, (240, 320)), ((640, 480), 160, (160, 120)), ((120, 160), 320, (120, 160)),
     ((1080, 1920), 416, (234, 416))],
)  # fmt: skip
def test_upload_size(shape: tuple[int, int], size_px: int, expected: tuple[int, int]) -> None:
    shrunk = resize_for_upload(np.zeros((*shape, 3), np.uint8), size_px)
    assert shrunk.shape[:2] == expected
