"""What the network is trained to lower."""

from __future__ import annotations

import torch
from torch import Tensor

from visionscaling_ros.vision.training.assignment import Assignment, overlap

BOX_WEIGHT = 6.0


def detection_loss(logits: Tensor, boxes_px: Tensor, targets: Assignment) -> Tensor:
    """Class plus box loss of a batch, per unit of assigned target score (scalar).

    logits: (N, A, classes). boxes_px: (N, A, 4).
    Classes: binary cross entropy against the target scores. Boxes: generalised intersection over
    union, 1 - GIoU (Rezatofighi et al., CVPR 2019, arXiv:1902.09630), weighted by ``weights``.
    """
    norm = targets.weights.sum().clamp(min=1.0)
    class_loss = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, targets.target_scores, reduction='sum'
    )
    taken = targets.weights > 0
    found, wanted = boxes_px[taken], targets.target_boxes_px[taken]
    box_loss = ((1.0 - _generalised_overlap(found, wanted)) * targets.weights[taken]).sum()
    return (class_loss + BOX_WEIGHT * box_loss) / norm


def _generalised_overlap(first_px: Tensor, second_px: Tensor) -> Tensor:
    """GIoU of boxes (K, 4), pairwise along K."""
    iou = overlap(first_px, second_px)
    hull = (
        torch.maximum(first_px[:, 2:], second_px[:, 2:])
        - torch.minimum(first_px[:, :2], second_px[:, :2])
    ).prod(-1)
    areas = (first_px[:, 2:] - first_px[:, :2]).prod(-1) + (
        second_px[:, 2:] - second_px[:, :2]
    ).prod(-1)
    union = areas / (1.0 + iou)  # iou = shared / union and shared + union = both areas
    return iou - (hull - union) / hull.clamp(min=1e-6)
