"""Each kind of layer with the leading part of another's weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from visionscaling_ros.vision.width_scaling.prefix_layer import AxisCuts, PrefixLayer


class PrefixConvolution(PrefixLayer):
    """Convolution of one to three dimensions."""

    def forward(self, x: Tensor) -> Tensor:
        """As the full layer does it."""
        full = self.full
        weight, bias = self.tensor('weight'), self.tensor('bias')
        padding = full.padding
        if full.padding_mode != 'zeros':
            x = functional.pad(x, full._reversed_padding_repeated_twice, mode=full.padding_mode)
            padding = 0
        convolve: Any = (functional.conv1d, functional.conv2d, functional.conv3d)[
            len(full.kernel_size) - 1
        ]
        result: Tensor = convolve(x, weight, bias, full.stride, padding, full.dilation, self.groups)
        return result


class PrefixTransposedConvolution(PrefixLayer):
    """Transposed convolution of one to three dimensions."""

    def forward(self, x: Tensor) -> Tensor:
        """As the full layer does it."""
        full = self.full
        convolve: Any = (
            functional.conv_transpose1d,
            functional.conv_transpose2d,
            functional.conv_transpose3d,
        )[len(full.kernel_size) - 1]
        result: Tensor = convolve(
            x, self.tensor('weight'), self.tensor('bias'), full.stride, full.padding,
            full.output_padding, self.groups, full.dilation,
        )  # fmt: skip
        return result


class PrefixLinear(PrefixLayer):
    """Fully connected layer."""

    def forward(self, x: Tensor) -> Tensor:
        """As the full layer does it."""
        weight = self.tensor('weight')
        assert weight is not None
        return functional.linear(x, weight, self.tensor('bias'))


class PrefixPReLU(PrefixLayer):
    """PReLU with one slope for each channel."""

    def forward(self, x: Tensor) -> Tensor:
        """As the full layer does it."""
        weight = self.tensor('weight')
        assert weight is not None
        return functional.prelu(x, weight)


class PrefixBatchNorm(PrefixLayer):
    """Batch norm with shared factors and offsets and statistics of its own."""

    def __init__(
        self, full: nn.Module, cuts: Mapping[str, AxisCuts], settings: Mapping[str, Any]
    ) -> None:
        super().__init__(full, cuts, {**settings, 'affine': False})
        self.statistics: Any = super().dense()
        self.statistics._parameters = {'weight': None, 'bias': None}
        self._settings['affine'] = self.full.affine

    def forward(self, x: Tensor) -> Tensor:
        """As the full layer does it, with this width's statistics."""
        own = self.statistics
        weight, bias = self.tensor('weight'), self.tensor('bias')
        if not own.training:
            return functional.batch_norm(
                x, own.running_mean, own.running_var, weight, bias,
                training=own.running_mean is None, eps=own.eps,
            )  # fmt: skip
        normal: Tensor = own(x)
        if weight is None or bias is None:
            return normal
        shape = (-1, *(1,) * (x.ndim - 2))
        return normal * weight.view(shape) + bias.view(shape)

    def dense(self) -> nn.Module:
        """An ordinary batch norm with copies of all it has."""
        layer = super().dense()
        layer._buffers = copy.deepcopy(self.statistics._buffers)
        return layer


class PrefixGroupNorm(PrefixLayer):
    """Group norm with as many groups as the full one."""

    def forward(self, x: Tensor) -> Tensor:
        """As the full layer does it."""
        full = self.full
        return functional.group_norm(
            x, full.num_groups, self.tensor('weight'), self.tensor('bias'), full.eps
        )


class PrefixLayerNorm(PrefixLayer):
    """Layer norm over the channels that are left."""

    def forward(self, x: Tensor) -> Tensor:
        """As the full layer does it."""
        shape = list(self._settings['normalized_shape'])
        return functional.layer_norm(
            x, shape, self.tensor('weight'), self.tensor('bias'), self.full.eps
        )


class PrefixFactor(nn.Module):
    """A parameter or buffer that is a factor or summand for each channel.

    :param full: the whole tensor; not copied.
    """

    def __init__(self, full: Tensor, cuts: AxisCuts) -> None:
        super().__init__()
        if isinstance(full, nn.Parameter):
            self.full: Tensor = full
        else:
            self.register_buffer('full', full)
        self._cuts = cuts

    def forward(self) -> Tensor:
        """The part that stays."""
        return self._cuts.of(self.full)

    def dense(self) -> PrefixFactor:
        """One of this width with a tensor of its own."""
        own = self._cuts.of(self.full).detach().clone()
        is_parameter = isinstance(self.full, nn.Parameter)
        return PrefixFactor(nn.Parameter(own) if is_parameter else own, AxisCuts({}))
