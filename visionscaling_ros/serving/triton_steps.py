"""The steps around a network on somebody else's server: from a JPEG to its input, and back.

Runs inside that server without this package being installed, so it and all it imports need NumPy
and OpenCV only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from visionscaling_ros.datatypes import FloatArray, IntArray
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import Fields
from visionscaling_ros.vision.decoders.output_format import OutputFormat, read_output_format
from visionscaling_ros.vision.input_format import InputFormat, read_input_format
from visionscaling_ros.vision.input_writer import InputWriter, plain_memory
from visionscaling_ros.vision.jpeg import decode_jpeg
from visionscaling_ros.vision.output_reader import OutputReader

SETTINGS_FILE = 'settings.json'


@dataclass(frozen=True)
class StepSettings:
    """What the steps have to know of a model: a part of its manifest."""

    path: Path
    name: str
    input_sizes_px: tuple[int, ...]
    input: InputFormat
    output: OutputFormat
    score_threshold: float
    iou_threshold: float
    max_detections: int
    class_names: tuple[str, ...]


def load_settings(path: Path) -> StepSettings:
    """Read a settings file; raises InvalidValueError naming file and field."""
    fields = Fields(json.loads(path.read_text(encoding='utf-8')), str(path))
    settings = StepSettings(
        path=path,
        name=fields.text('name'),
        input_sizes_px=fields.wholes('input_sizes_px', 1, 1 << 16),
        input=read_input_format(fields.mapping('input')),
        output=read_output_format(fields.mapping('output')),
        score_threshold=fields.number('score_threshold', 0.0, 1.0),
        iou_threshold=fields.number('iou_threshold', 0.0, 1.0),
        max_detections=fields.whole('max_detections', 1, 1 << 16),
        class_names=fields.texts('classes'),
    )
    fields.done()
    return settings


class Preprocessor:
    """From a JPEG to the network's input. One object serves one thread."""

    def __init__(self, settings: StepSettings) -> None:
        self._sizes_px = settings.input_sizes_px
        layout = settings.input.layout
        self._writer = InputWriter(settings.input, plain_memory, channels_last=layout == 'nhwc')

    def run(self, jpeg: bytes, input_size_px: int | None) -> tuple[FloatArray, IntArray]:
        """The input for one image, and its frame: width, height and input size [px], int32 (3,).

        :param input_size_px: None where the request does not say: the smallest of the model's sizes
            that the image fits in, since robots send images no larger than that.
        :raises ImageFormatError: no image.
        :raises InvalidValueError: an input size the model does not have.
        """
        if input_size_px is not None and input_size_px not in self._sizes_px:
            raise InvalidValueError('input_size_px', input_size_px, list(self._sizes_px))
        image_bgr = decode_jpeg(jpeg)
        height_px, width_px = image_bgr.shape[:2]
        if input_size_px is None:
            longer_px = max(height_px, width_px)
            fitting = [size_px for size_px in self._sizes_px if size_px >= longer_px]
            input_size_px = min(fitting, default=max(self._sizes_px))
        batch = self._writer.write(image_bgr, input_size_px).batch
        return batch.copy(), np.array([width_px, height_px, input_size_px], np.int32)


class Postprocessor:
    """From the network's output to detections."""

    def __init__(self, settings: StepSettings) -> None:
        self._input = settings.input
        self._reader = OutputReader(settings.name, settings)

    def run(
        self, tensors: Sequence[FloatArray], frame: IntArray
    ) -> tuple[FloatArray, FloatArray, IntArray]:
        """Boxes (N, 4) as fractions of the image, scores (N,), class ids (N,), best score first.

        :param frame: as :meth:`Preprocessor.run` gives it.
        :raises ModelError: an output that is not finite or of another shape.
        """
        width_px, height_px, input_size_px = (int(value) for value in frame)
        geometry = self._input.geometry(width_px, height_px, input_size_px)
        found = self._reader.read(tensors, geometry)
        boxes = found.boxes_px / np.array([width_px, height_px] * 2, np.float32)
        return np.clip(boxes, 0.0, 1.0).astype(np.float32), found.scores, found.class_ids
