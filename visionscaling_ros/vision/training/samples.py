"""Training samples: pictures kept in a pool and cut differently every time."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from visionscaling_ros.datatypes import Detections, FloatArray, ImageArray
from visionscaling_ros.vision.letterbox import (
    PADDING_VALUE,
    fitted_size_px,
    padded_side_px,
    resize_image,
)

MIN_SIDE_PX = 2.5
MIN_KEPT_SHARE = 0.4


@dataclass(frozen=True)
class Batch:
    """images: float (N, 3, H, W), 0 to 1. boxes_px: (N, G, 4). class_ids: (N, G), -1 beyond."""

    images: Tensor
    boxes_px: Tensor
    class_ids: Tensor


def cut(
    rng: np.random.Generator, image: ImageArray, truth: Detections, inner: tuple[int, int]
) -> tuple[ImageArray, FloatArray, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """A random window of the picture, perhaps mirrored: picture, boxes, classes.

    :param inner: width and height of the window [px]; the picture returned is padded to
        multiples of 32.
    """
    height_px, width_px = image.shape[:2]
    zoom = rng.uniform(1.0, 2.0) if rng.random() < 0.5 else rng.choice([1.0, 1.0, 1.0, 0.75])
    scale = min(inner[0] / width_px, inner[1] / height_px) * zoom
    full = max(1, round(width_px * scale)), max(1, round(height_px * scale))
    image = resize_image(image, *full)
    room = [have - need for have, need in zip(inner, full, strict=True)]
    shift = [int(rng.integers(min(0, free), max(0, free) + 1)) for free in room]
    padded = padded_side_px(inner[1]), padded_side_px(inner[0]), 3
    picture = np.full(padded, PADDING_VALUE, np.uint8)
    (left, right), (top, bottom) = (
        (max(0, at), min(at + need, have))
        for at, need, have in zip(shift, full, inner, strict=True)
    )
    picture[top:bottom, left:right] = image[
        top - shift[1] : bottom - shift[1], left - shift[0] : right - shift[0]
    ]
    boxes = truth.boxes_px * np.tile([full[0] / width_px, full[1] / height_px], 2)
    boxes = boxes + np.tile(shift, 2)
    if rng.random() < 0.5:
        picture[:, : inner[0]] = picture[:, : inner[0]][:, ::-1]
        boxes[:, [0, 2]] = inner[0] - boxes[:, [2, 0]]
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    boxes = np.clip(boxes, 0, [*inner, *inner])
    sides = boxes[:, 2:] - boxes[:, :2]
    keep = (sides.min(1) >= MIN_SIDE_PX) & (sides.prod(1) >= MIN_KEPT_SHARE * area)
    return _recoloured(rng, picture), boxes[keep].astype(np.float32), truth.class_ids[keep]


def _recoloured(rng: np.random.Generator, picture: ImageArray) -> ImageArray:
    gain = rng.uniform(0.85, 1.15) * rng.normal(1.0, 0.04, 3)
    if rng.random() < 0.08:
        picture = cv2.merge([cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)] * 3)
    levels = np.clip(np.arange(256)[:, None] * gain, 0, 255).astype(np.uint8)
    recoloured: ImageArray = cv2.LUT(picture, levels[:, None, :])
    return recoloured


class PicturePool:
    """The newest ``capacity`` pictures, each used several times before it is replaced."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._pictures: list[tuple[ImageArray, Detections]] = []
        self._added = 0

    def add(self, image: ImageArray, truth: Detections) -> None:
        """Keep a picture, in place of the oldest when full."""
        if len(self._pictures) < self._capacity:
            self._pictures.append((image, truth))
        else:
            self._pictures[self._added % self._capacity] = (image, truth)
        self._added += 1

    def batch(self, rng: np.random.Generator, count: int, input_size_px: int) -> Batch:
        """``count`` random cuts of random pictures, in the proportions of the first."""
        picks = rng.integers(len(self._pictures), size=count)
        chosen = [self._pictures[pick] for pick in picks]
        inner = fitted_size_px(chosen[0][0].shape[1], chosen[0][0].shape[0], input_size_px)
        cuts = [cut(rng, image, truth, inner) for image, truth in chosen]
        most = max(1, *(len(boxes) for _, boxes, _ in cuts))
        boxes_px = torch.zeros(count, most, 4)
        class_ids = torch.full((count, most), -1, dtype=torch.int64)
        for row, (_, boxes, classes) in enumerate(cuts):
            boxes_px[row, : len(boxes)] = torch.from_numpy(boxes)
            class_ids[row, : len(boxes)] = torch.from_numpy(classes)
        stacked = torch.from_numpy(np.stack([picture for picture, _, _ in cuts]))
        images = stacked.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)
        return Batch(images, boxes_px, class_ids)
