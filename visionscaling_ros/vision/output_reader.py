"""From a network's output tensors to detections in the source image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from visionscaling_ros.datatypes import Detections, FloatArray
from visionscaling_ros.errors import ModelError
from visionscaling_ros.vision.decoders.decoder import Task
from visionscaling_ros.vision.detection_settings import DetectionSettings
from visionscaling_ros.vision.letterbox import Letterbox
from visionscaling_ros.vision.suppression import suppress

MIN_CANDIDATES = 300  # of which suppression may drop most


class OutputReader:
    """Decodes, thresholds, suppresses by class. Knows no engine: the output may come from anywhere.

    :param name: the model's, for errors.
    """

    def __init__(self, name: str, manifest: DetectionSettings) -> None:
        self._name = name
        self._manifest = manifest

    def read(self, tensors: Sequence[FloatArray], geometry: Letterbox) -> Detections:
        """Detections in source pixels of the one image in ``tensors``, scores descending.

        :param tensors: in the order of the manifest's decoder.
        :raises ModelError: an output that is not finite or of another shape.
        """
        manifest = self._manifest
        decoder = manifest.output.decoder
        task = Task(
            width_px=geometry.width_px,
            height_px=geometry.height_px,
            class_count=len(manifest.class_names),
            score_threshold=manifest.score_threshold,
            max_candidates=max(MIN_CANDIDATES, manifest.max_detections),
        )
        for role, tensor in zip(decoder.roles, tensors, strict=True):
            if not _is_finite(tensor):
                raise ModelError(
                    f'{manifest.path}: model {self._name}: output {role} has values that are not '
                    'finite; allowed: finite ones'
                )
        try:
            found = decoder.decode(tensors, task)
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
