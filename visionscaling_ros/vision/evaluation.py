"""Measures the zoo on pictures it was not trained on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.datatypes import Detections, ImageArray
from visionscaling_ros.vision.accuracy import evaluate_map
from visionscaling_ros.vision.detector import Detector
from visionscaling_ros.vision.scene import StreetScene, random_scene

SIZE_PX = (640, 480)
WORLD = 1  # training draws from world 0: no object or background in common
FIRST_STREET = 1_000_000
FRAMES_PER_STREET, FRAMES_APART = 5, 211


@dataclass(frozen=True)
class HeldOutSet:
    """Pictures with truth: first ``streets`` frames of moving street scenes, then stills."""

    images: tuple[ImageArray, ...]
    truths: tuple[Detections, ...]
    streets: int


@dataclass(frozen=True)
class Score:
    """Accuracy of one model at one input size, and its median forward time here."""

    map_50_95: float
    map_50: float
    street_map_50_95: float
    still_map_50_95: float
    per_class_50_95: tuple[float, ...]
    forward_s: float


def held_out_set(images: int) -> HeldOutSet:
    """Half street frames (unseen seeds), half stills (unseen objects and backgrounds)."""
    streets = images // 2
    pairs = [*_street_frames(streets), *_stills(images - streets)]
    return HeldOutSet(tuple(p[0] for p in pairs), tuple(p[1] for p in pairs), streets)


def _street_frames(count: int) -> Iterator[tuple[ImageArray, Detections]]:
    for number in range(count):
        street, frame = divmod(number, FRAMES_PER_STREET)
        if frame == 0:
            scene = StreetScene(FIRST_STREET + street, *SIZE_PX)
        yield scene.frame(frame * FRAMES_APART)


def _stills(count: int) -> Iterator[tuple[ImageArray, Detections]]:
    for number in range(count):
        rng = np.random.default_rng((WORLD, number))
        yield random_scene(rng, *SIZE_PX, world=WORLD)


def score(detector: Detector, input_size_px: int, held_out: HeldOutSet) -> Score:
    """Run the detector over the set."""
    detector.warm_up(input_size_px)
    results, forward_s = [], []
    for image in held_out.images:
        prepared = detector.preprocess(image, input_size_px)
        started_s = time.perf_counter()
        raw = detector.forward(prepared)
        forward_s.append(time.perf_counter() - started_s)
        results.append(detector.postprocess(raw, prepared))
    classes, cut = len(detector.class_names), held_out.streets
    total = evaluate_map(held_out.truths, results, classes)
    street = evaluate_map(held_out.truths[:cut], results[:cut], classes)
    still = evaluate_map(held_out.truths[cut:], results[cut:], classes)
    return Score(
        map_50_95=total.map_50_95,
        map_50=total.map_50,
        street_map_50_95=street.map_50_95,
        still_map_50_95=still.map_50_95,
        per_class_50_95=total.per_class_50_95,
        forward_s=float(np.median(forward_s)),
    )
