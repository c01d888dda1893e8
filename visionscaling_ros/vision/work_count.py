"""Counts the arithmetic of a network in torch."""

from __future__ import annotations

from collections.abc import Callable

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.vision.detector import Detector


def count_flops(run: Callable[[], object]) -> int:
    """FLOP of what ``run`` computes, a multiplication and an addition being two.

    As in the tables of YOLO; 0 for what does not run in torch.
    """
    import torch  # noqa: PLC0415 (a second)
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


def frame_flops(detector: Detector, image_bgr: ImageArray, input_size_px: int) -> int:
    """FLOP of one frame; ModelError for a network that does not run under torch's counter."""
    prepared = detector.preprocess(image_bgr, input_size_px)
    return count_flops(lambda: detector.forward(prepared))
