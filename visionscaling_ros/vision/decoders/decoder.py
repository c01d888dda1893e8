"""What turns a network's output tensors into candidate objects, and what decoders share."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from visionscaling_ros.datatypes import FloatArray, IntArray
from visionscaling_ros.errors import ModelError

STRIDES_PX = (8, 16, 32)
SCORES = ('probability', 'logit')
_MOST_LOG = 20.0  # exp of a broken network's size stays finite


@dataclass(frozen=True)
class Task:
    """What to decode: for which input, how many classes, which scores, and how many at most."""

    width_px: int
    height_px: int
    class_count: int
    score_threshold: float
    max_candidates: int


@dataclass(frozen=True)
class Candidates:
    """Objects before suppression, scores descending.

    boxes_px: float32 (N, 4) corners in input pixels. scores: float32 (N,). class_ids: int64 (N,).
    """

    boxes_px: FloatArray
    scores: FloatArray
    class_ids: IntArray


class Decoder(Protocol):
    """Knows one output format. Decodes the boxes of candidates only."""

    @property
    def roles(self) -> tuple[str, ...]:
        """Names of the tensors it wants, in order."""
        ...

    def decode(self, tensors: Sequence[FloatArray], task: Task) -> Candidates:
        """Candidates of the one image in ``tensors``; ModelError for another shape."""
        ...


def check_shape(role: str, tensor: FloatArray, expected: tuple[int, ...], task: Task) -> None:
    """Raise ModelError unless ``tensor`` has the shape that the input and the classes ask for."""
    if tensor.shape != expected:
        raise ModelError(
            f'output {role} is {tensor.shape}; allowed: {expected}, for {task.class_count} '
            f'classes and an input of {task.width_px}x{task.height_px} px'
        )


def strongest(
    scores: FloatArray, threshold: float, most: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """Rows and columns of the scores (N, M) above a threshold, and these scores, descending."""
    places = np.flatnonzero(scores.reshape(-1) > threshold)
    found = scores.reshape(-1)[places]
    order = np.argsort(-found, kind='stable')[:most]
    rows, columns = np.divmod(places[order], scores.shape[1])
    return rows.astype(np.int64), columns.astype(np.int64), found[order].astype(np.float32)


def sigmoid(logits: FloatArray) -> FloatArray:
    """1 / (1 + exp(-x)), without overflow."""
    values: FloatArray = (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(np.float32)
    return values


def logit(probability: float) -> float:
    """The inverse of ``sigmoid``."""
    return float(np.log(probability / (1.0 - probability)))


def exponential(values: FloatArray) -> FloatArray:
    """exp(x), finite for any finite x."""
    result: FloatArray = np.exp(np.minimum(values, _MOST_LOG))
    return result


def corners(centers_px: FloatArray, sizes_px: FloatArray) -> FloatArray:
    """Centres (N, 2) and sizes (N, 2) -> corners (N, 4)."""
    half_px = 0.5 * sizes_px
    return np.hstack([centers_px - half_px, centers_px + half_px]).astype(np.float32)


def cell_count(task: Task, strides_px: Sequence[int]) -> int:
    """Cells of all feature maps of the input."""
    return sum((task.width_px // s) * (task.height_px // s) for s in strides_px)


@functools.lru_cache(maxsize=32)
def grid(width_px: int, height_px: int, strides_px: tuple[int, ...]) -> FloatArray:
    """Column, row and stride [px] of every cell (A, 3), finest map first, row by row."""
    maps = []
    for stride_px in strides_px:
        rows, columns = np.divmod(
            np.arange((width_px // stride_px) * (height_px // stride_px)), width_px // stride_px
        )
        maps.append(np.stack([columns, rows, np.full_like(rows, stride_px)], 1))
    cells: FloatArray = np.concatenate(maps).astype(np.float32)
    return cells
