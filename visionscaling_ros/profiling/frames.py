"""Frames to measure on."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.vision.scene.street_scene import StreetScene
from visionscaling_ros.vision.sources.folder_source import FolderSource

STREET = 'street'
OWN = 'own'
STREET_FRAMES = 12
MOST_OWN_FRAMES = 48
STREET_STEP = 15  # frames of the scene between two that are used: half a second


def measurement_frames(seed: int, folder: Path | None) -> dict[str, list[ImageArray]]:
    """Frames of a generated street, 640x480, and those of a folder if there is one.

    Of a large folder the first MOST_OWN_FRAMES are used. Raises SourceError.
    """
    scene = StreetScene(seed)
    frames = {STREET: [scene.frame(STREET_STEP * k)[0] for k in range(STREET_FRAMES)]}
    if folder is not None:
        frames[OWN] = _folder_frames(folder)
    return frames


def frames_digest(frames: dict[str, list[ImageArray]]) -> dict[str, str]:
    """By kind, a text that changes when a frame does."""
    digests = {}
    for kind, images in frames.items():
        value = 0
        for image in images:
            value = zlib.crc32(np.ascontiguousarray(image).data, value)
        digests[kind] = f'{len(images)} frames, CRC {value:08x}'
    return digests


def _folder_frames(folder: Path) -> list[ImageArray]:
    source = FolderSource(folder)
    images: list[ImageArray] = []
    while len(images) < MOST_OWN_FRAMES and (frame := source.read()) is not None:
        images.append(frame.image_bgr)
    return images
