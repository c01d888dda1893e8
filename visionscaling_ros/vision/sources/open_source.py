"""One way to name any source."""

from __future__ import annotations

from pathlib import Path

from visionscaling_ros.errors import SourceError
from visionscaling_ros.vision.sources.folder_source import FolderSource
from visionscaling_ros.vision.sources.frame_source import FrameSource
from visionscaling_ros.vision.sources.synthetic_source import SyntheticSource
from visionscaling_ros.vision.sources.video_source import VideoSource

SYNTHETIC = 'synthetic'
SYNTHETIC_FPS = 30.0


def open_source(
    spec: str,
    *,
    width_px: int = 640,
    height_px: int = 480,
    rate_fps: float = 0.0,
    loop: bool = True,
    seed: int = 0,
) -> FrameSource:
    """Open what ``spec`` names: ``synthetic``, a folder of images, or anything OpenCV reads.

    Raises SourceError, naming it, when it cannot be opened.
    """
    if spec == SYNTHETIC:
        return SyntheticSource(seed, width_px, height_px, rate_fps or SYNTHETIC_FPS)
    if not spec:
        raise SourceError(f'source is empty; allowed: {SYNTHETIC!r}, a device, file, folder or URL')
    if Path(spec).is_dir():
        return FolderSource(Path(spec), loop=loop)
    return VideoSource(spec, width_px=width_px, height_px=height_px, rate_fps=rate_fps, loop=loop)
