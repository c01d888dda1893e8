"""One detector network with several widths: any of them is a leading part of every filter bank.

Slimmable networks (Yu et al., ICLR 2019, arXiv:1812.08928): the widths share their convolutions
and differ in their norms, because a narrower sum has other statistics.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from visionscaling_ros.vision.network import DetectionNetwork
from visionscaling_ros.vision.network_shape import ElasticShape, scaled_channels


class ElasticConvUnit(nn.Module):
    """``ConvUnit`` that runs with the leading channels of the active width."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *,
        ratios: tuple[float, ...],
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.outputs = [scaled_channels(outputs, ratio) for ratio in ratios]
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in self.outputs)
        self.active = len(ratios) - 1

    def forward(self, x: Tensor) -> Tensor:
        """(N, leading inputs, H, W) -> (N, leading outputs, H / stride, W / stride)."""
        weight = self.conv.weight[: self.outputs[self.active], : x.shape[1]]
        x = nn.functional.conv2d(
            x, weight.contiguous(memory_format=torch.channels_last), None,
            self.conv.stride, self.conv.padding,
        )  # fmt: skip
        positive: Tensor = torch.relu_(self.norms[self.active](x))
        return positive


class ElasticLinear(nn.Conv2d):
    """1x1 convolution that takes as many leading channels as it is given."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, leading inputs, H, W) -> (N, outputs, H, W)."""
        return nn.functional.conv2d(x, self.weight[:, : x.shape[1]], self.bias)


class ElasticNetwork(DetectionNetwork):
    """A ``DetectionNetwork`` of several widths in the same memory."""

    def __init__(self, shape: ElasticShape) -> None:
        def unit(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Module:
            return ElasticConvUnit(inputs, outputs, kernel, stride, ratios=shape.ratios)

        super().__init__(shape.full, len(shape.class_names), unit=unit, linear=ElasticLinear)
        self.shape = shape

    def at(self, index: int) -> ElasticNetwork:
        """Run with width number ``index`` from now on; returns itself."""
        for module in self.modules():
            if isinstance(module, ElasticConvUnit):
                module.active = index
        return self

    def dense(self, index: int) -> DetectionNetwork:
        """Width number ``index`` as a network of its own, unfused, weights copied."""
        ratio = self.shape.ratios[index]
        network = DetectionNetwork(self.shape.full.scaled(ratio), len(self.shape.class_names))
        shared = self.state_dict()
        own = network.state_dict()
        for name, tensor in own.items():
            source = shared[name.replace('.norm.', f'.norms.{index}.')]
            leading = tuple(slice(side) for side in tensor.shape)
            own[name] = source[leading].clone()
        network.load_state_dict(own)
        return network
