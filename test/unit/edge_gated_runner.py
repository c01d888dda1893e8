"""A model runner for tests: what it answers depends on the payload, and it waits at a gate."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np

from visionscaling_ros.edge.server.model_runner import RunResult, Workload
from visionscaling_ros.edge.wire.protocol import InferCall
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections
from visionscaling_ros.edge.wire.tensor_model import TensorSpec
from visionscaling_ros.errors import ImageFormatError, ModelError

PATIENCE_S = 20.0


class GatedRunner:
    """Detects one object per payload byte, as soon as its gate is open."""

    model_names = ('tiny', 'small')

    def __init__(self) -> None:
        self.warm = False
        self.ran: list[bytes] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.threads: set[int] = set()

    def class_names(self, model: str) -> tuple[str, ...]:
        return ('car', 'van')

    def input_sizes_px(self, model: str) -> tuple[int, ...]:
        return (128, 320)

    def tensor_spec(self, model: str) -> TensorSpec | None:
        return TensorSpec('x', (-1, 3, -1, -1), {'y': (-1, 2)}) if model == 'small' else None

    def workload(self, call: InferCall) -> Workload:
        return Workload(call.model, call.input_size_px, call.input_size_px)

    def warm_up(self) -> Mapping[Workload, float]:
        self.warm = True
        return {}

    def run(self, model: str, calls: Sequence[InferCall]) -> list[RunResult]:
        self.threads.add(threading.get_ident())
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)
        return [self._run_one(call) for call in calls]

    def _run_one(self, call: InferCall) -> RunResult:
        if call.tensor is not None:
            return {'y': call.tensor.reshape(-1)[:2].reshape(1, 2)}
        jpeg = call.jpeg
        assert jpeg is not None
        self.ran.append(jpeg)
        if jpeg == b'broken':
            return ImageFormatError('no JPEG in 6 bytes')
        if jpeg == b'bug':
            raise ZeroDivisionError
        if jpeg == b'nan':
            raise ModelError('tiny.yaml: model tiny: not finite')
        if jpeg == b'huge':
            raise MemoryError
        count = len(jpeg)
        return RelativeDetections(
            np.tile(np.array([0, 0, 0.5, 1], np.float32), (count, 1)),
            np.full(count, 0.5, np.float32),
            np.arange(count),
        )
