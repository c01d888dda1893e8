"""A program for the tests: the real edge server over a detector that needs no weights.

It finds the brightest byte of the payload, so a result depends on what arrived.
"""

from __future__ import annotations

import sys

import numpy as np

from visionscaling_ros.edge.relative_detections import RelativeDetections
from visionscaling_ros.edge.server import EdgeServer


class BrightestByte:
    model_names = ('tiny',)

    def class_names(self, model: str) -> tuple[str, ...]:
        return tuple(str(value) for value in range(256))

    def input_sizes_px(self, model: str) -> tuple[int, ...]:
        return (320,)

    def warm_up(self) -> None:
        pass

    def run(self, model: str, input_size_px: int, jpeg: bytes) -> RelativeDetections:
        brightest = int(np.frombuffer(jpeg, np.uint8).max())
        box = np.array([[0.0, 0.0, 0.5, 1.0]], np.float32)
        return RelativeDetections(box, np.array([1.0], np.float32), np.array([brightest]))


if __name__ == '__main__':
    EdgeServer(BrightestByte(), port=int(sys.argv[1])).serve(
        lambda address: print(f'edge server ready on {address}', flush=True)
    )
