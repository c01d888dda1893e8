"""All the objects of one world, drawn once."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from visionscaling_ros.vision.scene import from_above, people, scenery, vehicles
from visionscaling_ros.vision.scene.sprite import Sprite

Phases = tuple[Sprite, ...]
Drawer = Callable[[np.random.Generator], Sprite | Phases]

DRAWERS: dict[str, Drawer] = {
    'car_side': vehicles.car_side,
    'car_end': functools.partial(vehicles.vehicle_end, class_id=vehicles.CAR),
    'car_angled': functools.partial(vehicles.vehicle_angled, class_id=vehicles.CAR),
    'truck_side': vehicles.truck_side,
    'truck_end': functools.partial(vehicles.vehicle_end, class_id=vehicles.TRUCK),
    'truck_angled': functools.partial(vehicles.vehicle_angled, class_id=vehicles.TRUCK),
    'person': people.pedestrian,
    'cyclist_side': people.cyclist_side,
    'cyclist_end': people.cyclist_end,
    'pole': scenery.pole,
    'tree': scenery.tree,
    'street_box': scenery.street_box,
    'car_top': from_above.car_top,
    'truck_top': from_above.truck_top,
    'person_top': from_above.person_top,
    'cyclist_top': from_above.cyclist_top,
}


class SpriteBank:
    """``variants`` objects of every kind, facing right and left, drawn when first asked for."""

    def __init__(self, seed: int, variants: int) -> None:
        self._seed = seed
        self.variants = variants
        self._drawn: dict[tuple[str, int], tuple[Phases, Phases]] = {}

    def sprite(self, kind: str, variant: int, *, mirrored: bool = False, phase: int = 0) -> Sprite:
        """One object of the bank; any ``variant`` and ``phase`` count around."""
        key = (kind, variant % self.variants)
        if key not in self._drawn:
            number = list(DRAWERS).index(kind)
            drawn = DRAWERS[kind](np.random.default_rng((self._seed, number, key[1])))
            phases = (drawn,) if isinstance(drawn, Sprite) else drawn
            self._drawn[key] = (phases, tuple(sprite.mirrored() for sprite in phases))
        phases = self._drawn[key][int(mirrored)]
        return phases[phase % len(phases)]


@functools.lru_cache(maxsize=8)
def sprite_bank(seed: int, variants: int) -> SpriteBank:
    """The bank of a world, shared by its scenes."""
    return SpriteBank(seed, variants)
