"""The detector network: a small residual backbone, a top-down neck and an anchor-free head.

One prediction per cell of the feature maps at strides 8, 16 and 32: class logits and the distances
to the four sides of the box, as in FCOS (Tian et al., ICCV 2019, arXiv:1904.01355); no objectness,
the class score itself learns the quality of its box, as in TOOD (Feng et al., ICCV 2021,
arXiv:2108.07755).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from visionscaling_ros.vision.network_shape import NetworkShape

STRIDES_PX = (8, 16, 32)
# before training, expected share of cells that hold an object: keeps the first losses small
PRIOR_PROBABILITY = 0.01
MAX_LOG_DISTANCE = 6.0
Unit = Callable[..., nn.Module]  # (inputs, outputs, kernel=3, stride=1)


class ConvUnit(nn.Module):
    """Convolution, batch norm, ReLU; ``fuse`` folds the norm into the convolution."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        positive: Tensor = torch.relu_(self.norm(self.conv(x)))
        return positive

    def fuse(self) -> None:
        """Fold the trained norm into the convolution: same answer, one pass less."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv, self.norm)
            self.norm = nn.Identity()


class ResidualBlock(nn.Module):
    """1x1 squeeze, 3x3 expand, added to the input."""

    def __init__(self, channels: int, squeezed: int, unit: Unit) -> None:
        super().__init__()
        self.squeeze = unit(channels, squeezed, 1)
        self.expand = unit(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as ``x``."""
        added: Tensor = x + self.expand(self.squeeze(x))
        return added


class Head(nn.Module):
    """Class logits and log distances (in strides) for one feature map."""

    def __init__(self, channels: int, classes: int, unit: Unit, linear: type[nn.Conv2d]) -> None:
        super().__init__()
        self.class_conv = unit(channels, channels)
        self.box_conv = unit(channels, channels)
        self.class_logits = linear(channels, classes, 1)
        self.log_distances = linear(channels, 4, 1)
        prior = -math.log((1.0 - PRIOR_PROBABILITY) / PRIOR_PROBABILITY)
        nn.init.constant_(self.class_logits.bias, prior)  # type: ignore[arg-type]
        nn.init.zeros_(self.log_distances.weight)
        nn.init.constant_(self.log_distances.bias, math.log(2.0))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> (N, H*W, classes), (N, H*W, 4)."""
        logits = self.class_logits(self.class_conv(x)).flatten(2).transpose(1, 2)
        distances = self.log_distances(self.box_conv(x)).flatten(2).transpose(1, 2)
        return logits, distances


class DetectionNetwork(nn.Module):
    """Image batch -> class logits (N, A, classes) and boxes (N, A, 4) in input pixels.

    :param unit: what makes the convolution units.
    :param linear: the last convolution of every head.
    """

    def __init__(
        self,
        shape: NetworkShape,
        classes: int,
        *,
        unit: Unit = ConvUnit,
        linear: type[nn.Conv2d] = nn.Conv2d,
    ) -> None:
        super().__init__()
        stem, *stages = shape.widths
        self.stem = unit(3, stem, 3, 2)
        self.stages = nn.ModuleList()
        inputs = stem
        for width, squeezed, depth in zip(stages, shape.squeezes, shape.depths, strict=True):
            blocks = [ResidualBlock(width, squeezed, unit) for _ in range(depth)]
            self.stages.append(nn.Sequential(unit(inputs, width, 3, 2), *blocks))
            inputs = width
        neck = shape.neck_width
        self.laterals = nn.ModuleList(unit(width, neck, 1) for width in stages[1:])
        self.merges = nn.ModuleList(unit(neck, neck) for _ in STRIDES_PX[:-1])
        self.heads = nn.ModuleList(Head(neck, classes, unit, linear) for _ in STRIDES_PX)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Float (N, 3, H, W), 0 to 1, H and W multiples of 32."""
        x = self.stem(images)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        # top-down: what the coarse maps know of the whole helps the fine maps
        x = self.laterals[-1](features[-1])
        maps = [x]
        for lateral, merge, feature in zip(
            reversed(self.laterals[:-1]),
            reversed(self.merges),
            reversed(features[1:-1]),
            strict=True,
        ):
            x = merge(lateral(feature) + nn.functional.interpolate(x, scale_factor=2.0))
            maps.insert(0, x)
        outputs = [head(feature) for head, feature in zip(self.heads, maps, strict=True)]
        logits = torch.cat([output[0] for output in outputs], 1)
        log_distances = torch.cat([output[1] for output in outputs], 1).float()
        centers_px, strides_px = anchor_points(images.shape[3], images.shape[2], images.device)
        distances_px = log_distances.clamp(max=MAX_LOG_DISTANCE).exp() * strides_px[:, None]
        boxes_px = torch.cat(
            [centers_px - distances_px[..., :2], centers_px + distances_px[..., 2:]], -1
        )
        return logits.float(), boxes_px

    def fuse(self) -> DetectionNetwork:
        """Fold all norms for inference; returns itself."""
        self.eval()
        for module in list(self.modules()):
            if isinstance(module, ConvUnit):
                module.fuse()
        return self


def anchor_points(width_px: int, height_px: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Centres (A, 2) of all cells in input pixels, and the stride (A,) of each."""
    centers, strides = [], []
    for stride_px in STRIDES_PX:
        columns = (torch.arange(width_px // stride_px, device=device) + 0.5) * stride_px
        rows = (torch.arange(height_px // stride_px, device=device) + 0.5) * stride_px
        grid_y, grid_x = torch.meshgrid(rows, columns, indexing='ij')
        points = torch.stack([grid_x.flatten(), grid_y.flatten()], 1)
        centers.append(points)
        strides.append(points.new_full((points.shape[0],), float(stride_px)))
    return torch.cat(centers), torch.cat(strides)
