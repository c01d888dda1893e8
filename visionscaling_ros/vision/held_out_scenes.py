"""Generated pictures nobody trained on, drawn when asked for."""

from __future__ import annotations

import functools

import numpy as np

from visionscaling_ros.datatypes import Detections, ImageArray
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.scene import StreetScene, random_scene
from visionscaling_ros.vision.scene.class_names import CLASS_NAMES

SIZE_PX = (640, 480)
WORLD = 1  # training draws from world 0: no object or background in common
FIRST_STREET = 1_000_000
FRAMES_PER_STREET, FRAMES_APART = 5, 211


class HeldOutScenes:
    """Frames of moving streets of unseen seeds, and stills of unseen objects and backgrounds.

    Labelled images, the two kinds in turn, so that any beginning of it has both; picture k is the
    same in every process. Raises InvalidValueError below 2.
    """

    def __init__(self, count: int) -> None:
        if count < 2:
            raise InvalidValueError('images', count, '2 or more')
        self._count = count

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class id."""
        return CLASS_NAMES

    @property
    def used_class_ids(self) -> frozenset[int]:
        """All of them."""
        return frozenset(range(len(CLASS_NAMES)))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[ImageArray, Detections]:
        """640x480 picture and its truth."""
        number = index // 2
        if self.domain(index) == 'street':
            street, frame = divmod(number, FRAMES_PER_STREET)
            return _street(street).frame(frame * FRAMES_APART)
        return random_scene(np.random.default_rng((WORLD, number)), *SIZE_PX, world=WORLD)

    def crowd(self, index: int) -> Detections:
        """None: every object is drawn and known."""
        return Detections.empty()

    def name(self, index: int) -> str:
        """Kind and number."""
        return f'{self.domain(index)} {index // 2}'

    def domain(self, index: int) -> str:
        """Which kind of picture it is: street or still."""
        return 'still' if index % 2 else 'street'


@functools.lru_cache(maxsize=2)
def _street(number: int) -> StreetScene:
    return StreetScene(FIRST_STREET + number, *SIZE_PX)
