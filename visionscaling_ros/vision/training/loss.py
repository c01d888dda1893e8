"""What the network is trained to lower."""

from __future__ import annotations

import torch
from torch import Tensor

from visionscaling_ros.vision.network import anchor_points
from visionscaling_ros.vision.training.assignment import assign, overlap

BOX_WEIGHT = 6.0


def detection_loss(
    logits: Tensor,
    boxes_px: Tensor,
    truth_boxes_px: Tensor,
    truth_class_ids: Tensor,
    input_size_px: tuple[int, int],
) -> Tensor:
    """Class plus box loss of a batch, per unit of assigned target score (scalar).

    Classes: binary cross entropy against the aligned overlap. Boxes: generalised intersection over
    union, 1 - GIoU (Rezatofighi et al., CVPR 2019, arXiv:1902.09630), weighted by the target score.
    """
    centers_px, strides_px = anchor_points(*input_size_px, logits.device)
    targets = assign(
        logits.detach().sigmoid(),
        boxes_px.detach(),
        centers_px=centers_px,
        strides_px=strides_px,
        truth_boxes_px=truth_boxes_px,
        truth_class_ids=truth_class_ids,
    )
    norm = targets.target_scores.sum().clamp(min=1.0)
    class_loss = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, targets.target_scores, reduction='sum'
    )
    weights = targets.target_scores.sum(-1)
    taken = weights > 0
    found, wanted = boxes_px[taken], targets.target_boxes_px[taken]
    box_loss = ((1.0 - _generalised_overlap(found, wanted)) * weights[taken]).sum()
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
