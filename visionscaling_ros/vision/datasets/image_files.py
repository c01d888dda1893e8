"""Image files: found, checked without decoding them, read."""

from __future__ import annotations

from pathlib import Path

import cv2

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.errors import ImageFormatError
from visionscaling_ros.vision.jpeg import decode_image
from visionscaling_ros.vision.sources.folder_source import SUFFIXES

# what a whole file has near its end
_END_MARKS = {'.jpg': b'\xff\xd9', '.jpeg': b'\xff\xd9', '.png': b'IEND'}
_TAIL_BYTES = 4096


def image_files(folder: Path) -> list[Path]:
    """All images below a folder, by name."""
    return sorted(path for path in folder.rglob('*') if path.suffix.lower() in SUFFIXES)


def image_fault(path: Path) -> str | None:
    """Why a file is no whole image, by its first and last bytes; None where they look right.

    A file whose end is unusual (cameras append data of their own) is decoded to be sure.
    """
    try:
        with path.open('rb') as file:
            size_bytes = file.seek(0, 2)
            file.seek(max(0, size_bytes - _TAIL_BYTES))
            tail = file.read()
    except (OSError, ValueError) as error:  # ValueError: a name no file can have
        return getattr(error, 'strerror', None) or str(error)
    if not cv2.haveImageReader(str(path)):
        return f'{size_bytes} bytes that are no image'
    if _END_MARKS.get(path.suffix.lower(), b'') in tail:
        return None
    try:
        read_image(path)
    except ImageFormatError:
        return f'{size_bytes} bytes of a truncated image'
    return None


def read_image(path: Path) -> ImageArray:
    """uint8 (H, W, 3) BGR, turned upright as EXIF says. Raises ImageFormatError naming the file."""
    try:
        return decode_image(path.read_bytes())
    except OSError as error:
        raise ImageFormatError(f'{path} cannot be read: {error.strerror}') from error
    except ImageFormatError as error:
        raise ImageFormatError(f'{path}: {error}') from error
