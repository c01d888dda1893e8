from __future__ import annotations

import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.errors import ImageFormatError, InvalidValueError
from visionscaling_ros.vision.image_header import MAX_SCANS, encoded_size_px
from visionscaling_ros.vision.jpeg import (
    MAX_PIXELS,
    decode_image,
    decode_jpeg,
    encode_jpeg,
    resize_for_upload,
)


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


def jpeg_of(width_px: int, height_px: int) -> bytes:
    """A JPEG whose header claims another size; its pixels are those of ``picture``."""
    data = bytearray(encode_jpeg(picture()))
    at = data.index(b'\xff\xc0') + 5
    data[at : at + 4] = height_px.to_bytes(2, 'big') + width_px.to_bytes(2, 'big')
    return bytes(data)


def png_of(width_px: int, height_px: int) -> bytes:
    """A PNG of one colour, as small as it gets."""
    def chunk(name: bytes, content: bytes) -> bytes:
        body = name + content
        return len(content).to_bytes(4, 'big') + body + zlib.crc32(body).to_bytes(4, 'big')

    header = width_px.to_bytes(4, 'big') + height_px.to_bytes(4, 'big') + bytes((8, 0, 0, 0, 0))
    rows = zlib.compress(bytes((width_px + 1) * height_px), 9)
    parts = chunk(b'IHDR', header), chunk(b'IDAT', rows), chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


@pytest.mark.parametrize('data', [jpeg_of(65500, 65500), png_of(9000, 9000)])
def test_a_bomb_is_refused_by_its_header(data: bytes) -> None:
    assert len(data) < 100_000
    with pytest.raises(ImageFormatError, match=rf'\d+x\d+ pixels; allowed: 1 to {MAX_PIXELS}'):
        decode_jpeg(data)


def test_the_limit_on_pixels_is_the_callers() -> None:
    data = encode_jpeg(picture())
    assert decode_jpeg(data, 64 * 48).shape == (48, 64, 3)
    with pytest.raises(ImageFormatError, match='image is 64x48 pixels; allowed: 1 to 3071'):
        decode_jpeg(data, 64 * 48 - 1)


@pytest.mark.parametrize('sides', [(0, 48), (64, 0)])
def test_an_image_without_pixels_is_refused(sides: tuple[int, int]) -> None:
    with pytest.raises(ImageFormatError, match='pixels'):
        decode_jpeg(jpeg_of(*sides))


@pytest.mark.parametrize('suffix', ['.bmp', '.tiff', '.webp', '.ppm'])
def test_other_formats_are_refused_unless_the_file_is_trusted(suffix: str) -> None:
    ok, data = cv2.imencode(suffix, picture())
    assert ok
    with pytest.raises(ImageFormatError, match='a whole JPEG or PNG'):
        decode_jpeg(bytes(data))
    assert decode_image(bytes(data)).shape == (48, 64, 3)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    ok, data = cv2.imencode('.jpg', picture(), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert ok
    progressive = bytes(data)
    assert encoded_size_px(progressive) == (64, 48)
    scan = progressive[progressive.rindex(b'\xff\xda') : -2]
    with pytest.raises(ImageFormatError, match=f'scans; allowed: at most {MAX_SCANS}'):
        decode_jpeg(progressive[:-2] + scan * MAX_SCANS + b'\xff\xd9')


def test_a_header_of_endless_segments_is_given_up() -> None:
    data = encode_jpeg(picture())
    comment = b'\xff\xfe\x00\x02'
    assert encoded_size_px(data[:2] + comment * 100 + data[2:]) == (64, 48)
    with pytest.raises(ImageFormatError):
        encoded_size_px(data[:2] + comment * 100_000 + data[2:])


@given(junk=st.binary(max_size=40).filter(lambda junk: b'\xff' not in junk))
def test_the_header_is_found_where_the_decoder_finds_it(junk: bytes) -> None:
    data = encode_jpeg(picture())
    at = data.index(b'\xff\xc0')
    changed = data[:at] + junk + b'\xff' + data[at:]  # filled with another 0xFF, as allowed
    decoded = cv2.imdecode(np.frombuffer(changed, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (48, 64, 3)
    assert encoded_size_px(changed) == (64, 48)


@given(at=st.integers(0, 400), value=st.integers(0, 255))
def test_whatever_the_decoder_makes_of_a_damaged_file_its_size_was_known(
    at: int, value: int
) -> None:
    data = bytearray(encode_jpeg(picture()))
    data[at] = value
    try:
        image = decode_jpeg(bytes(data), 1 << 20)
    except ImageFormatError:
        return
    width_px, height_px = encoded_size_px(bytes(data))
    assert image.shape in {(height_px, width_px, 3), (width_px, height_px, 3)}


def test_exif_turns_the_image_upright() -> None:
    orientation = b'\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00'
    tiff = b'MM\x00\x2a\x00\x00\x00\x08\x00\x01' + orientation + bytes(4)
    exif = b'Exif\x00\x00' + tiff
    data = encode_jpeg(picture())
    segment = b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif
    assert decode_jpeg(data[:2] + segment + data[2:]).shape == (64, 48, 3)
