"""What a source of frames is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from visionscaling_ros.datatypes import Detections, ImageArray


@dataclass(frozen=True)
class Frame:
    """One picture.

    image_bgr: uint8 (H, W, 3). stamp_s: the source's own time [s], None if it has none.
    truth: what is really in it, None if nobody knows.
    """

    image_bgr: ImageArray
    stamp_s: float | None = None
    truth: Detections | None = None


class FrameSource(Protocol):
    """Gives frames one after the other. Constructors raise SourceError if it cannot be opened."""

    @property
    def fps(self) -> float:
        """Its own frame rate [frames/s]; 0: unknown."""
        ...

    @property
    def live(self) -> bool:
        """True when it sets the pace (a camera), False when the reader does (a file)."""
        ...

    def read(self) -> Frame | None:
        """The next frame; None at the end. Raises SourceError when it is lost."""
        ...

    def close(self) -> None:
        """Let go of the device or file."""
        ...
