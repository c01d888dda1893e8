"""Small networks of the kinds people have, for the tests of width scaling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

EXAMPLE = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def unit(inputs: int, outputs: int, kernel: int = 3, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.SiLU(inplace=True),
    )


class Plain(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, width, 3, padding=1)
        self.act = nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        return functional.hardswish(self.act(self.conv(x)))


class Residual(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.enter = unit(inputs, width, 1)
        self.inner = nn.Sequential(unit(width, width // 2), unit(width // 2, width))

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        x = x + self.inner(x)
        x += 1.0
        return functional.leaky_relu(x, 0.1)


class Depthwise(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.expand = unit(inputs, width, 1)
        self.depthwise = unit(width, 2 * width, 3, groups=width)
        self.project = nn.Conv2d(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.depthwise(self.expand(x)))


class Grouped(nn.Module):
    """Two large groups: each is thinned."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.enter = unit(inputs, width, 1)
        self.grouped = nn.Conv2d(width, width, 3, padding=1, groups=2)
        self.norm = nn.GroupNorm(2, width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.grouped(self.enter(x))))


class SplitAndConcatenate(nn.Module):
    """The C2f block of recent detectors: halves, bottlenecks on one, all concatenated."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.enter = unit(inputs, width, 1)
        self.first = unit(width // 2, width // 2)
        self.second = unit(width // 2, width // 2)
        self.leave = unit(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.enter(x).chunk(2, 1))
        parts.append(parts[-1] + self.first(parts[-1]))
        parts.append(self.second(parts[-1]))
        return self.leave(torch.cat(parts, 1))


class Dense(nn.Module):
    """DenseNet: every layer reads all before it."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.first = unit(inputs, width)
        self.second = unit(width + inputs, width)
        self.leave = nn.Conv2d(inputs + 2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([x, self.first(x)], dim=1)
        return self.leave(torch.cat([y, self.second(y)], dim=1))


class SqueezeExcite(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.enter = unit(inputs, width)
        self.squeeze = nn.Linear(width, width // 2)
        self.excite = nn.Linear(width // 2, width)
        self.scale = nn.Parameter(torch.rand(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        batch, channels = x.shape[:2]
        y = torch.relu(self.squeeze(x.mean((2, 3))))
        y = self.excite(y).sigmoid().view(batch, channels, 1, 1)
        return x * y.expand_as(x) * self.scale


class Pyramid(nn.Module):
    """Down, up again in two ways, and together."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.down = unit(inputs, width)
        self.up = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.leave = unit(2 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        small = functional.max_pool2d(self.down(x), 2)
        return self.leave(
            torch.cat([self.up(small), functional.interpolate(small, scale_factor=2)], 1)
        )


class SliceAndPad(nn.Module):
    """GhostNet's slicing, ConvNeXt's channels-last norm."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.half = width // 2
        self.enter = unit(inputs, width)
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Conv2d(self.half, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.enter(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.leave(functional.pad(x[:, self.half :], (1, 1, 1, 1)))


BLOCKS = (
    Plain, Residual, Depthwise, Grouped, SplitAndConcatenate, Dense, SqueezeExcite, Pyramid,
    SliceAndPad,
)  # fmt: skip


class Network(nn.Module):
    """Blocks one after the other; a classifier over flattened maps, and a map of 5 channels."""

    def __init__(self, blocks: Sequence[tuple[type[nn.Module], int]]) -> None:
        super().__init__()
        widths = [3, *(width for _, width in blocks)]
        self.blocks = nn.ModuleList(
            block(inputs, width) for (block, width), inputs in zip(blocks, widths[:-1], strict=True)
        )
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.classifier = nn.Linear(4 * widths[-1], 7)
        self.map = nn.Conv2d(widths[-1], 5, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        for block in self.blocks:
            x = block(x)
        pooled = self.pool(x)
        return {'classes': self.classifier(pooled.reshape(pooled.size(0), -1)), 'map': self.map(x)}


def network(*blocks: tuple[type[nn.Module], int], seed: int = 0) -> Network:
    """In eval mode, with weights and statistics that are none of the usual first values."""
    torch.manual_seed(seed)
    made = Network(blocks).eval()
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 1.5)
    return made


class Wrapped(nn.Module):
    """Some operation between two layers."""

    def __init__(self, between: Any, channels: int = 8) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, 8, 1)
        if isinstance(between, nn.Module):
            self.between = between
        else:
            self.function = between
        self.leave = nn.Conv2d(channels, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        x = self.between(x) if hasattr(self, 'between') else self.function(x)
        return self.leave(x)
