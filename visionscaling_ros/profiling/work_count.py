"""Counts the arithmetic of a network."""

from __future__ import annotations

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.vision.detector import Detector


def count_gflops(detector: Detector, image_bgr: ImageArray, input_size_px: int) -> float:
    """Billions of multiplications and additions of one frame through a network in torch.

    An addition counts as much as a multiplication, as in the tables of YOLO. Raises ModelError
    for a network that does not run under torch's counter.
    """
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415 (torch: a second)

    prepared = detector.preprocess(image_bgr, input_size_px)
    with FlopCounterMode(display=False) as counter:
        detector.forward(prepared)
    return 1e-9 * float(counter.get_total_flops())
