"""The detector: letterbox, engine, decoder, suppression."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from visionscaling_ros.datatypes import Detections, FloatArray, ImageArray
from visionscaling_ros.errors import ModelError
from visionscaling_ros.vision.decoders.decoder import Task
from visionscaling_ros.vision.detector import Prepared, RawOutput
from visionscaling_ros.vision.engines.engine import Engine
from visionscaling_ros.vision.input_writer import InputWriter
from visionscaling_ros.vision.letterbox import check_input_size
from visionscaling_ros.vision.manifest import Manifest
from visionscaling_ros.vision.suppression import suppress

MIN_CANDIDATES = 300  # of which suppression may drop most
GREY = 114


class EngineDetector:
    """A model of a manifest behind the ``Detector`` contract.

    One object serves one thread at a time; the input of a frame is overwritten by the next one of
    the same size.

    :param engine_for: the engine for an input size [px], the same one for any two sizes it serves.
    """

    def __init__(self, name: str, manifest: Manifest, engine_for: Callable[[int], Engine]) -> None:
        self._name = name
        self._manifest = manifest
        self._engine_for = engine_for
        self._writers: dict[str, InputWriter] = {}

    @property
    def name(self) -> str:
        """The model's name in the catalog."""
        return self._name

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class id."""
        return self._manifest.class_names

    @property
    def input_sizes_px(self) -> tuple[int, ...]:
        """Input sizes it was measured at."""
        return self._manifest.input_sizes_px

    def warm_up(self, input_size_px: int) -> None:
        """Run twice on a grey 4:3 image: the second run finds all caches filled.

        Raises ModelError when the network does not answer as its manifest says.
        """
        check_input_size(input_size_px)
        grey = np.full((input_size_px * 3 // 4, input_size_px, 3), GREY, np.uint8)
        for _ in range(2):
            prepared = self.preprocess(grey, input_size_px)
            self.postprocess(self.forward(prepared), prepared)

    def preprocess(self, image_bgr: ImageArray, input_size_px: int) -> Prepared:
        """Fit uint8 (H, W, 3) BGR into the input; raises ImageFormatError, InvalidValueError."""
        check_input_size(input_size_px)
        engine = self._engine_for(input_size_px)
        writer = self._writers.get(engine.name)
        if writer is None:
            writer = self._writers[engine.name] = InputWriter(
                self._manifest.input, engine.allocate, channels_last=engine.channels_last
            )
        return writer.write(image_bgr, input_size_px)

    def forward(self, prepared: Prepared) -> RawOutput:
        """Run the network; returns when its output is on the host. Raises ModelError."""
        geometry = prepared.geometry
        engine = self._engine_for(max(geometry.width_px, geometry.height_px))
        return RawOutput(engine.run(prepared.batch))

    def postprocess(self, raw: RawOutput, prepared: Prepared) -> Detections:
        """Decode, threshold, suppress by class, back to source pixels. Raises ModelError."""
        geometry, manifest = prepared.geometry, self._manifest
        decoder = manifest.output.decoder
        task = Task(
            width_px=geometry.width_px,
            height_px=geometry.height_px,
            class_count=len(manifest.class_names),
            score_threshold=manifest.score_threshold,
            max_candidates=max(MIN_CANDIDATES, manifest.max_detections),
        )
        for role, tensor in zip(decoder.roles, raw.tensors, strict=True):
            if not _is_finite(tensor):
                raise ModelError(
                    f'{manifest.path}: model {self._name}: output {role} has values that are not '
                    'finite; allowed: finite ones'
                )
        try:
            found = decoder.decode(raw.tensors, task)
        except ModelError as error:
            raise ModelError(
                f'{manifest.path}: model {self._name}: output or classes: {error}'
            ) from error
        kept = np.flatnonzero(suppress(found.boxes_px, found.class_ids, manifest.iou_threshold))
        kept = kept[: manifest.max_detections]
        boxes_px = geometry.boxes_to_source(found.boxes_px[kept])
        return Detections(boxes_px, found.scores[kept], found.class_ids[kept])


def _is_finite(tensor: FloatArray) -> bool:
    # one pass without a mask; only a sum that overflowed needs a second look
    with np.errstate(over='ignore', invalid='ignore'):
        return bool(np.isfinite(tensor.sum()) or np.isfinite(tensor).all())
