"""From the classes of a data set to those of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.datatypes import Detections, ImageArray, IntArray
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.datasets.labelled_images import LabelledImages

NOTHING = -1


@dataclass(frozen=True)
class ClassMap:
    """Which class of a model each class of a data set is; ``ids``: one per class, -1 for none."""

    ids: tuple[int, ...]

    @classmethod
    def between(
        cls,
        images: LabelledImages,
        model_classes: Sequence[str],
        class_map: Mapping[str, str] | None = None,
    ) -> ClassMap:
        """By ``class_map`` (data set's name -> model's name, '' for none), else by equal names.

        Upper and lower case are the same. A class no picture shows needs no counterpart.

        :raises InvalidValueError: a class is shown that has none, or a name is unknown.
        """
        asked = {data.lower(): model.lower() for data, model in (class_map or {}).items()}
        ids_of = {name.lower(): number for number, name in enumerate(model_classes)}
        known = [name.lower() for name in images.class_names]
        for data, model in asked.items():
            if data not in known:
                raise InvalidValueError('class_map', data, f'classes of the data: {_list(known)}')
            if model and model not in ids_of:
                raise InvalidValueError(
                    f'class_map {data}', model, f'classes of the model: {_list(model_classes)}'
                )
        used = images.used_class_ids
        ids = []
        for number, name in enumerate(known):
            target = asked.get(name, name)
            if number in used and target and target not in ids_of:
                raise InvalidValueError(
                    'class of the data',
                    images.class_names[number],
                    f'classes of the model ({_list(model_classes)}); or a class_map '
                    f'({name}=NAME, or {name}= for none of them)',
                )
            ids.append(ids_of.get(target, NOTHING))
        return cls(tuple(ids))

    def apply(self, truth: Detections) -> Detections:
        """The objects that are of a class of the model, with its class ids."""
        class_ids: IntArray = np.array(self.ids, np.int64)[truth.class_ids]
        kept = class_ids != NOTHING
        return Detections(truth.boxes_px[kept], truth.scores[kept], class_ids[kept])


class MappedImages:
    """Labelled images seen with the classes of a model."""

    def __init__(
        self, images: LabelledImages, model_classes: Sequence[str], class_map: ClassMap
    ) -> None:
        self._images = images
        self._class_map = class_map
        self._class_names = tuple(model_classes)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The model's classes."""
        return self._class_names

    @property
    def used_class_ids(self) -> frozenset[int]:
        """The model's classes that may occur."""
        ids = frozenset(self._class_map.ids[number] for number in self._images.used_class_ids)
        return ids - {NOTHING}

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[ImageArray, Detections]:
        """Image and the objects the model has a class for."""
        image, truth = self._images[index]
        return image, self._class_map.apply(truth)

    def crowd(self, index: int) -> Detections:
        """Regions of many objects the model has a class for."""
        return self._class_map.apply(self._images.crowd(index))

    def name(self, index: int) -> str:
        """Name of the picture."""
        return self._images.name(index)


def _list(names: Sequence[str]) -> str:
    return ', '.join(names)
