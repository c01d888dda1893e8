"""What scale_width returns."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import fx, nn

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.width_scaling.prefix_network import dense_network


class ScaledNetworks:
    """A network and narrower ones made of its leading filters, in one memory.

    :param full: the whole network with its filters in order of importance.
    :param prefixes: narrower networks by ratio; changes of the weights of ``full`` are theirs too.
    :param channels: for each ratio, how many channels every group of channels keeps.
    """

    def __init__(
        self,
        full: nn.Module,
        prefixes: Mapping[float, fx.GraphModule],
        channels: Mapping[float, Mapping[str, int]],
    ) -> None:
        self.full = full
        self._prefixes = dict(prefixes)
        self._channels = {ratio: dict(kept) for ratio, kept in channels.items()}

    @property
    def ratios(self) -> tuple[float, ...]:
        """The widths there are, narrowest first; 1 is always among them."""
        return (*sorted(self._prefixes), 1.0)

    def at(self, ratio: float) -> nn.Module:
        """The network of a width; at 1 it is ``full``. Raises InvalidValueError for another."""
        self._check(ratio)
        return self.full if ratio == 1.0 else self._prefixes[ratio]

    def dense(self, ratio: float) -> nn.Module:
        """A copy with ordinary layers and its own weights: fastest to run, and to export."""
        self._check(ratio)
        return copy.deepcopy(self.full) if ratio == 1.0 else dense_network(self._prefixes[ratio])

    def channels(self, ratio: float) -> dict[str, int]:
        """Channels that each group keeps at a width, by the layer that makes them first."""
        self._check(ratio)
        return dict(self._channels[ratio])

    def parameter_count(self, ratio: float) -> int:
        """Parameters that the network of a width uses."""
        return sum(parameter.numel() for parameter in self.dense(ratio).parameters())

    def _check(self, ratio: float) -> None:
        if ratio != 1.0 and ratio not in self._prefixes:
            raise InvalidValueError('ratio', ratio, f'one of {self.ratios}')
