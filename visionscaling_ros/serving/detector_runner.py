"""What the edge server serves: this package's detectors."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from visionscaling_ros.edge.server.model_runner import RunResult, Workload
from visionscaling_ros.edge.wire.protocol import InferCall
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections
from visionscaling_ros.edge.wire.tensor_model import TensorSpec
from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.serving.call_reader import MAX_IMAGE_PIXELS, CallReader
from visionscaling_ros.vision.catalog import Catalog
from visionscaling_ros.vision.jpeg import decode_jpeg, encode_jpeg

if TYPE_CHECKING:
    from visionscaling_ros.datatypes import FloatArray, ImageArray
    from visionscaling_ros.vision.engine_detector import EngineDetector

_GREY = 114


class DetectorRunner:
    """The edge server's :class:`ModelRunner`. Every thread that is warmed up has its own detectors.

    Raises InvalidValueError for an unknown model; the weights are read by :meth:`warm_up`, which
    raises ModelError for those that cannot be used.

    :param threads: CPU threads of the engine, in each worker thread.
    :param max_image_pixels: of a compressed image; larger ones are not decoded.
    :param options: engine, device and precision, as for ``Catalog.load``.
    """

    def __init__(
        self,
        catalog: Catalog,
        models: tuple[str, ...],
        *,
        threads: int,
        max_image_pixels: int = MAX_IMAGE_PIXELS,
        **options: Any,
    ) -> None:
        self._entries = {name: catalog.entry(name) for name in models}
        self._readers = {
            name: CallReader(entry.manifest, max_image_pixels)
            for name, entry in self._entries.items()
        }
        self._max_image_pixels = max_image_pixels
        self._options = options
        self._threads = threads
        self._here = threading.local()

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models it has."""
        return tuple(self._entries)

    def class_names(self, model: str) -> tuple[str, ...]:
        """Names of the classes of ``model``."""
        return self._entries[model].class_names

    def input_sizes_px(self, model: str) -> tuple[int, ...]:
        """The input sizes of ``model``."""
        return self._entries[model].input_sizes_px

    def tensor_spec(self, model: str) -> TensorSpec | None:
        """Input and outputs of the network, None where its manifest does not name them."""
        return self._readers[model].tensor_spec

    def workload(self, call: InferCall) -> Workload:
        """By the JPEG's header or the tensor's shape; ImageFormatError, InvalidValueError."""
        return self._readers[call.model].workload(call)

    def warm_up(self) -> Mapping[Workload, float]:
        """Load every model, run it at every input size, and tell what that took [s]."""
        import torch  # noqa: PLC0415 takes seconds, too long before a port in use is reported

        from visionscaling_ros.vision.model_loading import load_model  # noqa: PLC0415

        torch.set_num_threads(self._threads)
        detectors: dict[str, EngineDetector] = {
            name: load_model(entry, threads=self._threads, **self._options)
            for name, entry in self._entries.items()
        }
        self._here.detectors = detectors
        times_s = {}
        for name, detector in detectors.items():
            for size_px in detector.input_sizes_px:
                detector.warm_up(size_px)
                call = _example(name, size_px)
                started_s = time.monotonic()
                (result,) = self.run(name, [call])
                if isinstance(result, VisionScalingError):
                    raise result
                times_s[self.workload(call)] = time.monotonic() - started_s
        return times_s

    def run(self, model: str, calls: Sequence[InferCall]) -> list[RunResult]:
        """One result for each call; what is wrong with one spoils no other."""
        try:
            return self._run(model, calls)
        except VisionScalingError as error:
            if len(calls) == 1:
                return [error]
        return [result for call in calls for result in self.run(model, [call])]

    def _run(self, model: str, calls: Sequence[InferCall]) -> list[RunResult]:
        detector: EngineDetector = self._here.detectors[model]
        results: dict[int, RunResult] = {}
        images: dict[int, list[tuple[int, ImageArray]]] = {}
        tensors: dict[tuple[int, ...], list[tuple[int, FloatArray]]] = {}
        for place, call in enumerate(calls):
            if call.tensor is not None:
                tensors.setdefault(call.tensor.shape, []).append((place, call.tensor))
                continue
            try:
                image_bgr = decode_jpeg(call.jpeg or b'', self._max_image_pixels)
            except VisionScalingError as error:
                results[place] = error
            else:
                images.setdefault(call.input_size_px, []).append((place, image_bgr))
        for size_px, group in images.items():
            found = detector.detect_batch([image_bgr for _, image_bgr in group], size_px)
            for (place, image_bgr), detections in zip(group, found, strict=True):
                if isinstance(detections, VisionScalingError):
                    results[place] = detections
                    continue
                height_px, width_px = image_bgr.shape[:2]
                results[place] = RelativeDetections.from_pixels(detections, width_px, height_px)
        for same_shape in tensors.values():
            outputs = detector.forward_tensors(np.concatenate([tensor for _, tensor in same_shape]))
            for k, (place, tensor) in enumerate(same_shape):
                parts = [output[k : k + 1] for output in outputs]
                results[place] = self._readers[model].answer(tensor, parts)
        return [results[place] for place in range(len(calls))]


def _example(model: str, input_size_px: int) -> InferCall:
    """A request with a grey 4:3 picture."""
    image_bgr = np.full((input_size_px * 3 // 4, input_size_px, 3), _GREY, np.uint8)
    return InferCall(
        model=model,
        input_size_px=input_size_px,
        jpeg=encode_jpeg(image_bgr),
        tensor=None,
        robot_id='',
        slot=0,
        frame_number=0,
        stamp_ns=0,
        deadline_s=math.inf,
    )
