"""The detectors inference_node may run, loaded and measured once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.pipeline.calibration import measure_point
from visionscaling_ros.pipeline.cost_table import CostTable
from visionscaling_ros.pipeline.upload_worker import Encode
from visionscaling_ros.vision.detector import Detector
from visionscaling_ros.vision.jpeg import encode_jpeg, resize_for_upload
from visionscaling_ros.vision.model_zoo import (
    accuracy_map,
    available_models,
    input_sizes_px,
    load_detector,
)
from visionscaling_ros.vision.scene.street_scene import StreetScene


def check_models(models: Sequence[str], sizes_px: Sequence[int]) -> None:
    """Raise InvalidValueError for a model or an input size there is not."""
    if not models:
        raise InvalidValueError('models', models, f'at least one of {available_models()}')
    for model in models:
        if model not in available_models():
            raise InvalidValueError('models', model, ', '.join(available_models()))
    offered_px = sorted({size for model in models for size in input_sizes_px(model)})
    for size in sizes_px:
        if size not in offered_px:
            raise InvalidValueError('input_sizes_px', size, offered_px)


def safe_point(models: Sequence[str], model: str, input_size_px: int) -> tuple[str, int]:
    """The safe local operating point: what was asked for, or the first model at its middle size.

    :param model: empty for the first of ``models``.
    :param input_size_px: 0 for the middle one it has.
    :raises InvalidValueError: the model is not among ``models`` or lacks that size.
    """
    model = model or models[0]
    if model not in models:
        raise InvalidValueError('safe_model', model, ', '.join(models))
    sizes_px = input_sizes_px(model)
    input_size_px = input_size_px or sizes_px[len(sizes_px) // 2]
    if input_size_px not in sizes_px:
        raise InvalidValueError('safe_input_size_px', input_size_px, sizes_px)
    return model, input_size_px


class ModelShelf:
    """Loads detectors and measures what each of their operating points costs here.

    :param models: names of the models.
    :param sizes_px: input sizes to offer; empty: all a model has.
    :param encode: BGR image and input size [px] to the JPEG bytes that would be uploaded.
    """

    def __init__(self, models: Sequence[str], sizes_px: Sequence[int], encode: Encode) -> None:
        self._detectors: Mapping[str, Detector] = {name: load_detector(name) for name in models}
        self.costs = CostTable()
        image_bgr = StreetScene(seed=0, width_px=640, height_px=480, fps=15.0).frame(0)[0]
        for name, detector in self._detectors.items():
            for size_px in input_sizes_px(name):
                if sizes_px and size_px not in sizes_px:
                    continue
                self.costs.put(
                    measure_point(
                        name,
                        detector,
                        size_px,
                        image_bgr=image_bgr,
                        accuracy_map=accuracy_map(name, size_px),
                        encode=encode,
                    )
                )

    def detector(self, name: str) -> Detector:
        """The detector of a name that was loaded; raises KeyError for another."""
        return self._detectors[name]

    def offers(self, model: str, input_size_px: int) -> bool:
        """Whether this configuration can run."""
        return any(
            (point.model, point.input_size_px) == (model, input_size_px)
            for point in self.costs.points()
        )


def encode_upload(image_bgr: ImageArray, input_size_px: int, quality: int) -> bytes:
    """The JPEG of a frame shrunk to the detector's input size."""
    return encode_jpeg(resize_for_upload(image_bgr, input_size_px), quality)
