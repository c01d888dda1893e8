"""A program for the tests: the real edge server over a detector that needs no weights.

It finds the brightest byte of the payload, so a result depends on what arrived.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import numpy as np

from visionscaling_ros.edge.server.model_runner import RunResult, Workload
from visionscaling_ros.edge.server.server import EdgeServer
from visionscaling_ros.edge.wire.protocol import InferCall
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections
from visionscaling_ros.edge.wire.tensor_model import TensorSpec


class BrightestByte:
    """A ModelRunner for JPEGs, of which it needs only the bytes."""

    model_names = ('tiny',)

    def class_names(self, model: str) -> tuple[str, ...]:
        return tuple(str(value) for value in range(256))

    def input_sizes_px(self, model: str) -> tuple[int, ...]:
        return (320,)

    def tensor_spec(self, model: str) -> TensorSpec | None:
        return None

    def workload(self, call: InferCall) -> Workload:
        return Workload(call.model, call.input_size_px, call.input_size_px)

    def warm_up(self) -> Mapping[Workload, float]:
        return {Workload('tiny', 320, 320): 1e-5}

    def run(self, model: str, calls: Sequence[InferCall]) -> list[RunResult]:
        return [self._brightest(call.jpeg or b'\0') for call in calls]

    def _brightest(self, jpeg: bytes) -> RelativeDetections:
        brightest = int(np.frombuffer(jpeg, np.uint8).max())
        box = np.array([[0.0, 0.0, 0.5, 1.0]], np.float32)
        return RelativeDetections(box, np.array([1.0], np.float32), np.array([brightest]))


if __name__ == '__main__':
    EdgeServer(BrightestByte(), port=int(sys.argv[1])).serve(
        lambda address: print(f'edge server ready on {address}', flush=True)
    )
