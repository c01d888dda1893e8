"""Training pictures: drawn by a worker process, kept in a pool, cut differently every time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from visionscaling_ros.datatypes import Detections, FloatArray, ImageArray
from visionscaling_ros.vision.letterbox import PADDING_VALUE, STRIDE_PX
from visionscaling_ros.vision.scene import random_scene

SCENE_SIZE_PX = (640, 480)
STORED_SIZE_PX = (416, 312)
MIN_SIDE_PX = 2.5
MIN_KEPT_SHARE = 0.4


class SceneStream(IterableDataset[tuple[ImageArray, Detections]]):
    """Endless stills; number k depends only on the seed and k, so a stream can start anywhere."""

    def __init__(self, seed: int, first: int) -> None:
        self._seed = seed
        self._first = first

    def __iter__(self) -> Iterator[tuple[ImageArray, Detections]]:
        """Stills from the first on, at the stored size."""
        cv2.setNumThreads(1)
        scale = STORED_SIZE_PX[0] / SCENE_SIZE_PX[0]
        number = self._first
        while True:
            rng = np.random.default_rng((self._seed, number))
            image, truth = random_scene(rng, *SCENE_SIZE_PX)
            small = cv2.resize(image, STORED_SIZE_PX, interpolation=cv2.INTER_AREA)
            yield small, Detections(truth.boxes_px * scale, truth.scores, truth.class_ids)
            number += 1


@dataclass(frozen=True)
class Batch:
    """images: float (N, 3, H, W), 0 to 1. boxes_px: (N, G, 4). class_ids: (N, G), -1 beyond."""

    images: Tensor
    boxes_px: Tensor
    class_ids: Tensor


def cut(
    rng: np.random.Generator, image: ImageArray, truth: Detections, input_size_px: int
) -> tuple[ImageArray, FloatArray, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """A random window of the still at the input size, perhaps mirrored: picture, boxes, classes."""
    height_px, width_px = image.shape[:2]
    inner = (input_size_px, round(input_size_px * height_px / width_px))
    zoom = rng.uniform(1.0, 2.0) if rng.random() < 0.55 else rng.choice([1.0, 1.0, 0.75])
    scale = inner[0] / width_px * zoom
    shift = np.array(
        [rng.uniform(*sorted((0.0, side - full * scale))) for side, full in
         zip(inner, (width_px, height_px), strict=True)]
    )  # fmt: skip
    matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
    mirrored = rng.random() < 0.5
    if mirrored:
        matrix[0] = -matrix[0]
        matrix[0, 2] += inner[0]
    if scale < 0.7:  # sampling would alias: shrink first
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        matrix[:, :2] /= scale
    picture = cv2.warpAffine(
        image, matrix, inner, flags=cv2.INTER_LINEAR, borderValue=(PADDING_VALUE,) * 3
    )
    gain = rng.uniform(0.85, 1.15) * rng.normal(1.0, 0.04, 3)
    if rng.random() < 0.08:
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        picture = cv2.merge([grey] * 3)
    picture = np.clip(picture * gain.astype(np.float32), 0, 255).astype(np.uint8)
    boxes = truth.boxes_px * scale + np.tile(shift, 2)
    if mirrored:
        boxes[:, [0, 2]] = inner[0] - boxes[:, [2, 0]]
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    boxes = np.clip(boxes, 0, [*inner, *inner])
    sides = boxes[:, 2:] - boxes[:, :2]
    keep = (sides.min(1) >= MIN_SIDE_PX) & (sides.prod(1) >= MIN_KEPT_SHARE * area)
    padded = np.full(
        (-(-inner[1] // STRIDE_PX) * STRIDE_PX, input_size_px, 3), PADDING_VALUE, np.uint8
    )
    padded[: inner[1]] = picture
    return padded, boxes[keep].astype(np.float32), truth.class_ids[keep]


class ScenePool:
    """The newest ``capacity`` stills, each used several times before it is replaced."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._scenes: list[tuple[ImageArray, Detections]] = []
        self._added = 0

    def add(self, image: ImageArray, truth: Detections) -> None:
        """Keep a still, in place of the oldest when full."""
        if len(self._scenes) < self._capacity:
            self._scenes.append((image, truth))
        else:
            self._scenes[self._added % self._capacity] = (image, truth)
        self._added += 1

    def batch(self, rng: np.random.Generator, count: int, input_size_px: int) -> Batch:
        """``count`` random cuts of random stills."""
        picks = rng.integers(len(self._scenes), size=count)
        scenes = [self._scenes[pick] for pick in picks]
        cuts = [cut(rng, image, truth, input_size_px) for image, truth in scenes]
        most = max(1, *(len(boxes) for _, boxes, _ in cuts))
        boxes_px = torch.zeros(count, most, 4)
        class_ids = torch.full((count, most), -1, dtype=torch.int64)
        for row, (_, boxes, classes) in enumerate(cuts):
            boxes_px[row, : len(boxes)] = torch.from_numpy(boxes)
            class_ids[row, : len(boxes)] = torch.from_numpy(classes)
        stacked = torch.from_numpy(np.stack([picture for picture, _, _ in cuts]))
        images = stacked.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)
        return Batch(images, boxes_px, class_ids)
