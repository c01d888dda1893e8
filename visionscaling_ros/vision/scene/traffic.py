"""Who drives and walks where at a given time: a pure function of seed and time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.vision.scene.street import FARTHEST_M, LANE_M, Placed, Street

VEHICLES_ACROSS = (('car_side', 0.62), ('truck_side', 0.2), ('cyclist_side', 0.18))
VEHICLES_AWAY = (('car_end', 0.62), ('truck_end', 0.2), ('cyclist_end', 0.18))
WALKERS = (('person', 0.88), ('cyclist_side', 0.12))
WALKERS_AWAY = (('person', 1.0),)
LONGEST_M = 11.0
MASK = 2**64 - 1


def _uniform(seed: int, number: int, salt: int) -> float:
    """Reproducible value in [0, 1), by splitmix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    z = (seed * 0x9E3779B97F4A7C15 + number * 0xD1B54A32D192ED03 + salt * 0x8CB92BA72F3D8DD7) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return ((z ^ (z >> 31)) >> 11) / 2**53


@dataclass(frozen=True)
class Track:
    """A line on the ground along which objects move at one speed, ``gap_s`` apart or more."""

    seed: int
    kinds: tuple[tuple[str, float], ...]
    start_m: tuple[float, float]
    heading: tuple[float, float]
    length_m: float
    speed_mps: float
    gap_s: float

    def objects(self, time_s: float, traffic: Traffic) -> list[Placed]:
        """Who is on the track."""
        newest = math.floor(time_s / self.gap_s)
        oldest = math.ceil((time_s - self.length_m / self.speed_mps) / self.gap_s)
        placed = []
        for number in range(oldest, newest + 1):
            born_s = number * self.gap_s
            if _uniform(self.seed, number, 0) > traffic.density(born_s):
                continue
            choice, kind = _uniform(self.seed, number, 1), self.kinds[-1][0]
            for name, share in self.kinds:
                choice -= share
                if choice < 0:
                    kind = name
                    break
            late_s = 0.25 * self.gap_s * _uniform(self.seed, number, 2)
            travelled_m = (time_s - born_s - late_s) * self.speed_mps
            aside_m = (_uniform(self.seed, number, 4) - 0.5) * 0.7
            x_m = self.start_m[0] + self.heading[0] * travelled_m + self.heading[1] * aside_m
            z_m = self.start_m[1] + self.heading[1] * travelled_m + self.heading[0] * aside_m
            if not 0 <= travelled_m <= self.length_m:
                continue
            placed.append(
                Placed(
                    kind=kind,
                    variant=int(_uniform(self.seed, number, 3) * 4096),
                    x_m=x_m,
                    z_m=z_m,
                    mirrored=self.heading[0] < 0,
                    phase=int(travelled_m / 0.35),
                )
            )
        return placed


class Traffic:
    """All tracks of a street, what stands still in it, and how busy it is over time."""

    def __init__(self, rng: np.random.Generator, street: Street) -> None:
        self._busy_period_s = rng.uniform(18.0, 45.0)
        self._busy_phase = rng.uniform(0, 2 * math.pi)
        self._quiet, self._rush = rng.uniform(0.1, 0.35), rng.uniform(0.6, 1.0)
        self._standing = _standing(rng, street)
        self._tracks = _tracks(rng, street)

    def density(self, time_s: float) -> float:
        """Share of the places on the tracks that are taken, between quiet and rush."""
        wave = 0.5 + 0.5 * math.sin(2 * math.pi * time_s / self._busy_period_s + self._busy_phase)
        return self._quiet + (self._rush - self._quiet) * wave

    def at(self, time_s: float) -> list[Placed]:
        """Everybody at this time."""
        moving = [placed for track in self._tracks for placed in track.objects(time_s, self)]
        return self._standing + moving


def _across(
    rng: np.random.Generator, street: Street, z_m: float, heading: float, *, walkers: bool
) -> Track:
    half_m = street.camera.half_width_m(z_m) + LONGEST_M / 2
    return Track(
        seed=int(rng.integers(2**31)),
        kinds=WALKERS if walkers else VEHICLES_ACROSS,
        start_m=(-heading * half_m, z_m),
        heading=(heading, 0.0),
        length_m=2 * half_m,
        speed_mps=rng.uniform(1.0, 1.9) if walkers else rng.uniform(5.0, 9.0),
        gap_s=rng.uniform(2.5, 6.0) if walkers else rng.uniform(2.2, 3.5),
    )


def _away(
    rng: np.random.Generator, x_m: float, near_m: float, far_m: float, *, comes: bool, walkers: bool
) -> Track:
    return Track(
        seed=int(rng.integers(2**31)),
        kinds=WALKERS_AWAY if walkers else VEHICLES_AWAY,
        start_m=(x_m, far_m if comes else near_m),
        heading=(0.0, -1.0 if comes else 1.0),
        length_m=far_m - near_m,
        speed_mps=rng.uniform(1.0, 1.7) if walkers else rng.uniform(4.0, 8.0),
        gap_s=rng.uniform(3.0, 7.0) if walkers else rng.uniform(2.5, 4.0),
    )


def _tracks(rng: np.random.Generator, street: Street) -> list[Track]:
    near, far, x_m = street.road_near_m, street.road_far_m, street.away_x_m
    tracks = [
        _across(
            rng,
            street,
            near + (lane + 0.5) * LANE_M,
            1.0 if lane < street.lanes / 2 else -1.0,
            walkers=False,
        )
        for lane in range(street.lanes)
    ]
    for z_m in (near - 0.9, near - 2.0, far + 1.0, far + 2.2):
        tracks.append(_across(rng, street, z_m, float(rng.choice([-1.0, 1.0])), walkers=True))
    for lane in range(street.away_lanes):
        offset_m = (lane + 0.5 - street.away_lanes / 2) * LANE_M
        comes = offset_m < 0
        tracks.append(_away(rng, x_m + offset_m, far + 2.0, 70.0, comes=comes, walkers=False))
    for side in (-1.0, 1.0):
        offset_m = side * (street.away_lanes * LANE_M / 2 + 1.3)
        comes = bool(rng.random() < 0.5)
        tracks.append(_away(rng, x_m + offset_m, far + 1.0, 50.0, comes=comes, walkers=True))
    crossing_m = rng.uniform(-0.7, 0.7) * street.camera.half_width_m(near)
    tracks.append(_away(rng, crossing_m, near - 1.5, far + 2.0, comes=True, walkers=True))
    return tracks


def _standing(rng: np.random.Generator, street: Street) -> list[Placed]:
    """Parked cars, people waiting, poles, trees and bins."""
    near, far = street.road_near_m, street.road_far_m
    kinds = ('pole', 'tree', 'street_box', 'person', 'car_side', 'car_angled', 'truck_angled')
    shares = (0.25, 0.1, 0.2, 0.15, 0.1, 0.13, 0.07)
    placed = []
    for _ in range(int(rng.integers(3, 13))):
        kind = str(rng.choice(kinds, p=shares))
        if kind in {'pole', 'tree', 'street_box', 'person'} and rng.random() < 0.4:
            z_m = near - rng.uniform(0.3, 2.5)
        else:
            z_m = rng.uniform(far + 0.5, min(far + 30.0, FARTHEST_M))
        placed.append(
            Placed(
                kind=kind,
                variant=int(rng.integers(4096)),
                x_m=float(rng.uniform(-1, 1) * street.camera.half_width_m(z_m)),
                z_m=float(z_m),
                mirrored=bool(rng.random() < 0.5),
            )
        )
    return placed
