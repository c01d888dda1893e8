"""Single pictures with truth, as different from one another as the world allows: for training."""

from __future__ import annotations

import functools

import numpy as np

from visionscaling_ros.datatypes import Detections, ImageArray
from visionscaling_ros.vision.scene.aerial import aerial_painter
from visionscaling_ros.vision.scene.camera_effects import CameraEffects
from visionscaling_ros.vision.scene.sprite_bank import sprite_bank
from visionscaling_ros.vision.scene.street import Placed, Street, paint_street
from visionscaling_ros.vision.scene.street_background import street_background
from visionscaling_ros.vision.scene.traffic import Traffic

AERIAL_SHARE = 0.3
VARIANTS = 60
STREETS = 150
FREE_KINDS = (
    'car_side', 'car_end', 'car_angled', 'truck_side', 'truck_end', 'truck_angled', 'person',
    'cyclist_side', 'cyclist_end', 'person', 'pole', 'street_box',
)  # fmt: skip


def random_scene(
    rng: np.random.Generator, width_px: int, height_px: int, *, world: int = 0
) -> tuple[ImageArray, Detections]:
    """A street or aerial view with its truth.

    ``world`` picks the objects and streets it is made of.

    Scenes of different worlds share no drawn object and no background.
    """
    bank = sprite_bank(10_000 + world, VARIANTS)
    if rng.random() < AERIAL_SHARE:
        painter = aerial_painter(rng, bank, width_px, height_px)
    else:
        number = int(rng.integers(STREETS))
        street, background, traffic = _street(world, number, width_px, height_px)
        objects = traffic.at(rng.uniform(0.0, 3600.0)) + _free(rng, street)
        if rng.random() < 0.5:
            background = background[:, ::-1]
        painter = paint_street(background, street.camera, bank, objects)
    image = CameraEffects(rng, width_px, height_px).apply(painter.image)
    return image, painter.truth()


@functools.lru_cache(maxsize=STREETS)
def _street(
    world: int, number: int, width_px: int, height_px: int
) -> tuple[Street, ImageArray, Traffic]:
    rng = np.random.default_rng((world, number, 2))
    street = Street.random(rng, width_px, height_px)
    return street, street_background(rng, street), Traffic(rng, street)


def _free(rng: np.random.Generator, street: Street) -> list[Placed]:
    """Objects anywhere, so that no place in the picture gives away what stands there."""
    placed = []
    for _ in range(rng.poisson(2.5)):
        z_m = float(np.exp(rng.uniform(np.log(street.road_near_m * 0.6), np.log(55.0))))
        placed.append(
            Placed(
                kind=str(rng.choice(FREE_KINDS)),
                variant=int(rng.integers(4096)),
                x_m=float(rng.uniform(-1, 1) * street.camera.half_width_m(z_m)),
                z_m=z_m,
                mirrored=bool(rng.random() < 0.5),
                phase=int(rng.integers(4)),
            )
        )
    return placed
