"""A camera, a video file, an RTSP stream or a GStreamer pipeline, through OpenCV."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from visionscaling_ros.errors import SourceError
from visionscaling_ros.vision.sources.frame_source import Frame

MILLISECONDS = 1e-3


class VideoSource:
    """Reads with ``cv2.VideoCapture``.

    :param spec: device index (digits), device path, file, URL, or GStreamer pipeline (with ``!``).
    :param width_px: size and rate to ask a camera for; 0: leave it to the camera.
    :param loop: start a file again at its end.
    :raises SourceError: it cannot be opened.
    """

    def __init__(
        self,
        spec: str,
        *,
        width_px: int = 0,
        height_px: int = 0,
        rate_fps: float = 0.0,
        loop: bool = False,
    ) -> None:
        self._spec = spec
        self.live = not Path(spec).is_file()
        self._loop = loop and not self.live
        self._capture = _open(spec)
        if not self._capture.isOpened():
            raise SourceError(
                f'source {spec!r} cannot be opened; allowed: a device index, device, video file, '
                'folder of images, RTSP URL, GStreamer pipeline or "synthetic"'
            )
        if self.live:
            _ask(self._capture, width_px, height_px, rate_fps)
        fps = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if np.isfinite(fps) and 0.0 < fps <= 1000.0 else 0.0
        self._played_s = 0.0  # length of the rounds before this one
        self._stamp_s = 0.0

    def read(self) -> Frame | None:
        """The next frame; a camera that gives none is lost."""
        image = self._grab()
        if image is None and self._loop:
            self._played_s = self._stamp_s + (1.0 / self.fps if self.fps else 0.0)
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            image = self._grab()
        if image is None:
            if self.live:
                raise SourceError(f'source {self._spec!r} gives no more frames')
            return None
        return image

    def close(self) -> None:
        """Let go of the device or file."""
        self._capture.release()

    def _grab(self) -> Frame | None:
        ok, image = self._capture.read()
        if not ok or image is None:
            return None
        position_s = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) * MILLISECONDS
        if self.live:
            return Frame(np.asarray(image, np.uint8), position_s if position_s > 0.0 else None)
        self._stamp_s = self._played_s + max(0.0, position_s)
        return Frame(np.asarray(image, np.uint8), self._stamp_s)


def _open(spec: str) -> cv2.VideoCapture:
    if spec.isdecimal():
        return cv2.VideoCapture(int(spec))
    if '!' in spec:
        return cv2.VideoCapture(spec, cv2.CAP_GSTREAMER)
    return cv2.VideoCapture(spec)


def _ask(capture: cv2.VideoCapture, width_px: int, height_px: int, rate_fps: float) -> None:
    for key, value in (
        (cv2.CAP_PROP_FRAME_WIDTH, width_px),
        (cv2.CAP_PROP_FRAME_HEIGHT, height_px),
        (cv2.CAP_PROP_FPS, rate_fps),
    ):
        if value:
            capture.set(key, value)
