"""A folder of images as a source."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from visionscaling_ros.errors import SourceError
from visionscaling_ros.vision.sources.frame_source import Frame

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
DEFAULT_FPS = 10.0


class FolderSource:
    """The images of a folder by name.

    :param loop: start again after the last one.
    :raises SourceError: the folder has no image; ``read`` raises it for an unreadable one.
    """

    live = False
    fps = DEFAULT_FPS

    def __init__(self, folder: Path, *, loop: bool = False) -> None:
        if not folder.is_dir():
            raise SourceError(f'folder {folder} does not exist; allowed: a folder of images')
        self._paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
        if not self._paths:
            raise SourceError(f'folder {folder} has no image; allowed: {", ".join(SUFFIXES)}')
        self._loop = loop
        self._next = 0

    def read(self) -> Frame | None:
        """The next image."""
        if self._next == len(self._paths):
            if not self._loop:
                return None
            self._next = 0
        path = self._paths[self._next]
        self._next += 1
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise SourceError(f'{path} cannot be read as an image')
        return Frame(np.asarray(image, np.uint8))

    def close(self) -> None:
        """Nothing to let go of."""
