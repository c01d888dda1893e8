"""Makes a model ready to run: loads it, warms it up, measures costs that are not known."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Collection, Sequence
from typing import Any

from visionscaling_ros.datatypes import OperatingPoint
from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.pipeline.calibration import measure_point
from visionscaling_ros.pipeline.upload_worker import Encode
from visionscaling_ros.simulation.profile import DeviceProfile
from visionscaling_ros.vision.catalog import Catalog
from visionscaling_ros.vision.detector import Detector
from visionscaling_ros.vision.scene.street_scene import StreetScene


class ModelPreparation:
    """How models are made ready, and what is known of their costs before.

    :param catalog: the models there are; may be replaced at any time.
    :param encode: BGR image, model and input size [px] to what would be uploaded.
    :param sizes_px: input sizes to offer; empty: all a model has.
    :param engine: what runs the models, as in ``Catalog.load``; ``device``, ``threads`` and
        ``half_precision`` likewise.
    :param profile: costs and engines measured before; None: all is measured.
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        encode: Encode,
        sizes_px: Sequence[int] = (),
        engine: str = 'auto',
        device: str = 'auto',
        threads: int = 1,
        half_precision: bool = False,
        profile: DeviceProfile | None = None,
    ) -> None:
        self.catalog = catalog
        self._encode = encode
        self._sizes_px = tuple(sizes_px)
        self._options: dict[str, Any] = {
            'engine': engine,
            'device': device,
            'threads': threads,
            'half_precision': half_precision,
        }
        self._profile = profile
        self._image_bgr = StreetScene(seed=0, width_px=640, height_px=480, fps=15.0).frame(0)[0]

    def accuracies_map(self, model: str) -> dict[int, float]:
        """Accuracy by input size [px], of the sizes to offer that have one."""
        entry = self.catalog.entry(model)
        accuracies_map = {}
        for size_px in self._sizes_px or entry.input_sizes_px:
            with contextlib.suppress(InvalidValueError):  # no such size, or never evaluated
                accuracies_map[size_px] = entry.accuracy_map(size_px)
        return accuracies_map

    def profiled(self, model: str) -> list[OperatingPoint]:
        """What the profile knows of the sizes to offer; GPU work at the real clock."""
        if self._profile is None:
            return []
        accuracies_map = self.accuracies_map(model)
        points = [
            dataclasses.replace(point, accuracy_map=accuracies_map[point.input_size_px])
            for point in self._profile.points
            if point.model == model and point.input_size_px in accuracies_map
        ]
        if not self.catalog.entry(model).manifest.upload.sends_tensor:
            return points
        return [self._with_tensor_bits(point) for point in points]  # profiles measure JPEGs

    def _with_tensor_bits(self, point: OperatingPoint) -> OperatingPoint:
        payload = self._encode(self._image_bgr, point.model, point.input_size_px)
        return dataclasses.replace(point, upload_bits=8.0 * len(payload.data))

    def prepare(
        self, model: str, known_sizes_px: Collection[int]
    ) -> tuple[Detector, list[OperatingPoint]]:
        """The detector, warm at every size to offer, and the costs of the sizes not known.

        GPU work is counted at the nominal clock. Takes seconds. Raises ModelError.
        """
        engines = self._profile.engine_of(model) if self._profile is not None else None
        detector = self.catalog.load(
            model, engine_of_size=engines or None, **self._options
        )
        accuracies_map = self.accuracies_map(model)
        if not accuracies_map:
            raise ModelError(
                f'{self.catalog.entry(model).manifest.path}: accuracy of {model}: none of the '
                'input sizes to offer has one'
            )
        points = []
        for size_px, accuracy_map in accuracies_map.items():
            detector.warm_up(size_px)
            if size_px not in known_sizes_px:
                points.append(
                    measure_point(
                        model,
                        detector,
                        size_px,
                        image_bgr=self._image_bgr,
                        accuracy_map=accuracy_map,
                        encode=self._encode,
                    )
                )
        return detector, points
