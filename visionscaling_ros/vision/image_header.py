"""The size of a compressed image, read from its header: what decoding it will cost."""

from __future__ import annotations

from visionscaling_ros.errors import ImageFormatError

_JPEG = b'\xff\xd8\xff'
_PNG = b'\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR'
_PNG_HEADER_BYTES = 33
# Markers of a JPEG (ITU-T T.81, table B.1): 0xC0 to 0xCF begin a frame, but for tables (C4, CC) and
# one that is reserved (C8); some stand alone, without a length and content.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))
_SCAN, _END, _START = 0xDA, 0xD9, 0xD8
_MOST_SEGMENTS = 1000
# Every scan of a progressive JPEG is a pass over all its pixels, and may be a few bytes long.
# Programs write ten.
MAX_SCANS = 100


def encoded_size_px(data: bytes) -> tuple[int, int]:
    """Width and height of a JPEG or PNG file, before it is turned upright as EXIF says.

    Raises ImageFormatError for anything else, and for a JPEG of more than ``MAX_SCANS`` scans.
    Reads segments as libjpeg does (jdmarker.c), so that both find the same frame header.
    """
    if data.startswith(_PNG) and len(data) >= _PNG_HEADER_BYTES:
        return int.from_bytes(data[16:20], 'big'), int.from_bytes(data[20:24], 'big')
    size_px = _jpeg_size_px(data) if data.startswith(_JPEG) else None
    if size_px is None:
        raise ImageFormatError(f'{len(data)} bytes are no image; allowed: a whole JPEG or PNG')
    scans = data.count(bytes((0xFF, _SCAN)))
    if scans > MAX_SCANS:
        raise ImageFormatError(f'JPEG has {scans} scans; allowed: at most {MAX_SCANS}')
    return size_px


def _jpeg_size_px(data: bytes) -> tuple[int, int] | None:
    at = 2
    for _ in range(_MOST_SEGMENTS):
        at = data.find(b'\xff', at)  # what lies between segments is skipped
        if at == -1:
            return None
        while data[at : at + 1] == b'\xff':
            at += 1
        marker = data[at] if at < len(data) else _END
        at += 1
        if marker in (_SCAN, _END, _START):
            return None
        if marker == 0 or marker in _ALONE:
            continue
        if marker in _FRAMES:
            header = data[at : at + 7]  # length, precision, height, width
            height_px, width_px = (int.from_bytes(header[k : k + 2], 'big') for k in (3, 5))
            return (width_px, height_px) if len(header) == 7 else None
        at += max(2, int.from_bytes(data[at : at + 2], 'big'))
    return None
