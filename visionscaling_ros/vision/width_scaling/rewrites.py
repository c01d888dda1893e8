"""Nodes whose constants say how many channels there are, and how a prefix corrects them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import fx

from visionscaling_ros.vision.width_scaling.channel_labels import Labels

Count = Callable[[Labels], int]


class Rewrite(Protocol):
    """A change of one node of a prefix."""

    @property
    def node_name(self) -> str:
        """The node, by its name in the graph."""

    def apply(self, node: fx.Node, count: Count) -> None:
        """Correct ``node``; ``count`` says how many of some channels the prefix keeps."""


@dataclass(frozen=True)
class SplitRewrite:
    """A split or chunk along the channels: pieces of the sizes that are left."""

    node_name: str
    axis: int
    pieces: tuple[Labels, ...]

    def apply(self, node: fx.Node, count: Count) -> None:
        """Turn it into a split by sizes."""
        sizes = [count(piece) for piece in self.pieces]
        node.op, node.target = 'call_function', torch.split
        node.args, node.kwargs = (node.args[0], sizes, self.axis), {}


@dataclass(frozen=True)
class SliceRewrite:
    """``x[..., start:stop, ...]`` along the channels."""

    node_name: str
    position: int
    before: Labels
    inside: Labels

    def apply(self, node: fx.Node, count: Count) -> None:
        """Move both ends."""
        start = count(self.before)
        index: Any = node.args[1]
        parts = list(index) if isinstance(index, tuple) else [index]
        parts[self.position] = slice(start, start + count(self.inside))
        node.args = (node.args[0], tuple(parts))


@dataclass(frozen=True)
class SizeRewrite:
    """A number of channels among the sizes given to view, reshape or expand."""

    node_name: str
    position: int
    labels: Labels

    def apply(self, node: fx.Node, count: Count) -> None:
        """Put the number that is left."""
        args = list(node.args)
        size = count(self.labels)
        if isinstance(args[1], list | tuple):
            sizes = list(args[1])
            sizes[self.position] = size
            args[1] = sizes
        else:
            args[1 + self.position] = size
        node.args = tuple(args)
