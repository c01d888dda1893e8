"""Which cells of the network answer for which object: task-aligned assignment.

TOOD (Feng et al., ICCV 2021, arXiv:2108.07755): a cell's alignment with an object is
t = s^alpha * u^beta (s its score for the object's class, u the overlap of its box); the best
``TOP_CELLS`` cells in an object learn it, with t rescaled to the object's largest overlap as
their target score.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TOP_CELLS = 10
ALPHA, BETA = 0.5, 6.0
FINEST_STRIDE_PX = 8.0
NEAR_CENTER = 0.75  # cells this near (in strides) may answer for objects too small to hold a centre


@dataclass(frozen=True)
class Assignment:
    """What the cells learn.

    target_boxes_px: (N, A, 4). target_scores: (N, A, classes). weights: (N, A), how much a cell
    answers for an object, 0 where for none.
    """

    target_boxes_px: Tensor
    target_scores: Tensor
    weights: Tensor

    def distilled(self, teacher_logits: Tensor) -> Assignment:
        """Half of each target score from a teacher's logits (N, A, classes).

        The widest network teaches the narrower ones in the same step (Yu and Huang, ICCV 2019,
        arXiv:1903.05134); the truth keeps its half, because the teacher is young itself.
        """
        softened = (self.target_scores + teacher_logits.detach().sigmoid()) / 2
        return Assignment(self.target_boxes_px, softened, self.weights)


def overlap(first_px: Tensor, second_px: Tensor) -> Tensor:
    """Intersection over union of boxes (..., 4), broadcast."""
    corner_min = torch.maximum(first_px[..., :2], second_px[..., :2])
    corner_max = torch.minimum(first_px[..., 2:], second_px[..., 2:])
    intersection = (corner_max - corner_min).clamp(min=0).prod(-1)
    area_first = (first_px[..., 2:] - first_px[..., :2]).prod(-1)
    area_second = (second_px[..., 2:] - second_px[..., :2]).prod(-1)
    return intersection / (area_first + area_second - intersection).clamp(min=1e-6)


@torch.no_grad()
def assign(
    scores: Tensor,
    boxes_px: Tensor,
    *,
    centers_px: Tensor,
    strides_px: Tensor,
    truth_boxes_px: Tensor,
    truth_class_ids: Tensor,
) -> Assignment:
    """Targets for predictions (N, A, classes), (N, A, 4).

    truth_boxes_px: (N, G, 4). truth_class_ids: (N, G), -1 where an image has fewer than G objects.
    """
    images, cells, classes = scores.shape
    real = truth_class_ids >= 0
    lookup = truth_class_ids.clamp(min=0)
    candidates = _candidates(centers_px, strides_px, truth_boxes_px) & real[..., None]
    overlaps = overlap(truth_boxes_px[:, :, None], boxes_px[:, None]).clamp(min=0)  # (N, G, A)
    class_scores = scores.transpose(1, 2).gather(1, lookup[..., None].expand(-1, -1, cells))
    alignment = class_scores.pow(ALPHA) * overlaps.pow(BETA) * candidates
    top = alignment.topk(min(TOP_CELLS, cells), dim=2).indices
    chosen = torch.zeros_like(candidates).scatter_(2, top, True) & candidates
    # a cell wanted by several objects goes to the one it overlaps most
    claimed, owner = (overlaps * chosen).max(1)
    wanted = chosen.any(1)
    owner_mask = torch.zeros_like(chosen).scatter_(1, owner[:, None], True)
    chosen &= owner_mask
    alignment = alignment * chosen
    best_alignment = alignment.amax(2, keepdim=True).clamp(min=1e-9)
    best_overlap = (overlaps * chosen).amax(2, keepdim=True)
    quality = (alignment / best_alignment * best_overlap).amax(1)  # (N, A)
    quality = quality * (wanted & (claimed > 0))
    target_class_ids = lookup.gather(1, owner)
    target_scores = scores.new_zeros(images, cells, classes)
    target_scores.scatter_(2, target_class_ids[..., None], quality[..., None])
    target_boxes_px = truth_boxes_px.gather(1, owner[..., None].expand(-1, -1, 4))
    return Assignment(target_boxes_px, target_scores, quality)


def _candidates(centers_px: Tensor, strides_px: Tensor, truth_boxes_px: Tensor) -> Tensor:
    """(N, G, A): cells whose centre is in the box, or on the finest map near the box's centre."""
    box = truth_boxes_px[:, :, None]
    inside = ((centers_px > box[..., :2]) & (centers_px < box[..., 2:])).all(-1)
    middle = (box[..., :2] + box[..., 2:]) / 2
    near = ((centers_px - middle).abs() < NEAR_CENTER * FINEST_STRIDE_PX).all(-1)
    return inside | (near & (strides_px == FINEST_STRIDE_PX))
