"""A synthetic street as a source, with ground truth."""

from __future__ import annotations

from visionscaling_ros.vision.scene.street_scene import StreetScene
from visionscaling_ros.vision.sources.frame_source import Frame


class SyntheticSource:
    """Endless; the same seed, size and rate give the same frames."""

    live = False

    def __init__(self, seed: int, width_px: int, height_px: int, fps: float) -> None:
        self.fps = fps
        self._scene = StreetScene(seed, width_px, height_px, fps)
        self._index = 0

    def read(self) -> Frame:
        """The next picture."""
        image_bgr, truth = self._scene.frame(self._index)
        stamp_s = self._index / self.fps
        self._index += 1
        return Frame(image_bgr, stamp_s, truth)

    def close(self) -> None:
        """Nothing to let go of."""
