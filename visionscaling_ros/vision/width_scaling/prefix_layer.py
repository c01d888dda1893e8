"""Layers that use the leading part of another layer's weights.

Each holds the full layer and cuts its weights in every pass: what a step changes in the full
network changes in the prefix too, and gradients of the prefix reach the weights of the full
network. Channels behind a concatenation are several ranges of the full layer's inputs; cutting in
the pass does those as well, at the price of a copy of the cut weights. ``dense()`` gives an
ordinary layer with weights of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from visionscaling_ros.vision.width_scaling.channel_groups import Positions

Ranges = tuple[tuple[int, int], ...]  # half-open


def ranges_of(positions: Positions) -> Ranges:
    """Runs of consecutive positions."""
    runs = np.split(positions, np.flatnonzero(np.diff(positions) != 1) + 1)
    return tuple((int(run[0]), int(run[-1]) + 1) for run in runs)


class AxisCuts:
    """What stays of a tensor: ranges along some of its axes."""

    def __init__(self, ranges: Mapping[int, Ranges]) -> None:
        self._ranges = dict(ranges)

    def of(self, tensor: Tensor) -> Tensor:
        """The part that stays: a view where it is one range, else a copy that gradients pass."""
        for dim, ranges in self._ranges.items():
            parts = [tensor.narrow(dim, start, stop - start) for start, stop in ranges]
            tensor = parts[0] if len(parts) == 1 else torch.cat(parts, dim)
        return tensor


class PrefixLayer(nn.Module):
    """A layer with the weights of ``full``, cut.

    Its parameters are those of ``full`` (the same objects), whole; a pass uses the part that stays.

    :param full: a layer with weights; not copied.
    :param cuts: for each of its tensors that gets smaller, what stays.
    :param settings: attributes of the layer that change with it, such as ``groups``.
    """

    def __init__(
        self, full: nn.Module, cuts: Mapping[str, AxisCuts], settings: Mapping[str, Any]
    ) -> None:
        super().__init__()
        for name, parameter in full._parameters.items():
            self.register_parameter(name, parameter)
        self._full = (full,)  # in a tuple, so that it is no part of this module
        self._cuts = dict(cuts)
        self._settings = dict(settings)

    @property
    def full(self) -> Any:
        """The layer it is a part of."""
        return self._full[0]

    def tensor(self, name: str) -> Tensor | None:
        """A cut parameter, sharing the memory of the whole where it is one range."""
        tensor: Tensor | None = getattr(self, name)
        return None if tensor is None else self._cut(name, tensor)

    @property
    def groups(self) -> int:
        """Groups of a convolution at this width."""
        groups: int = self._settings['groups']
        return groups

    def dense(self) -> nn.Module:
        """An ordinary layer of this width with copies of the weights."""
        layer: nn.Module = copy.copy(self.full)
        layer._parameters = {}
        for name, parameter in self._parameters.items():
            own = None
            if parameter is not None:
                cut = self._cut(name, parameter.detach())
                own = nn.Parameter(cut.clone(memory_format=torch.contiguous_format))
                own.requires_grad = parameter.requires_grad
            layer._parameters[name] = own
        layer._buffers = {
            name: None if buffer is None else self._cut(name, buffer).clone()
            for name, buffer in self.full._buffers.items()
        }
        for name, value in self._settings.items():
            setattr(layer, name, value)
        return layer

    def _cut(self, name: str, tensor: Tensor) -> Tensor:
        cuts = self._cuts.get(name)
        return tensor if cuts is None else cuts.of(tensor)
