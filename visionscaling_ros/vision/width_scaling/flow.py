"""What is known of the channels while walking through a traced network."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from torch import Tensor, fx

from visionscaling_ros.vision.width_scaling.channel_labels import ChannelLabels, Labels, Layout
from visionscaling_ros.vision.width_scaling.rewrites import Rewrite

# None: nothing to follow, no axis of the value may change
Value = Layout | tuple[Layout | None, ...] | None


class Obstacle(Exception):  # noqa: N818 (becomes a NotScalableError unless the channels may stay)
    """Why a rule cannot follow the channels through a node."""


class Role(Enum):
    """What an axis of a weight stands for."""

    MADE = 'made'  # filters of a layer
    READ = 'read'  # channels a layer reads
    SCALED = 'scaled'  # channels a norm, bias or factor goes over


@dataclass(frozen=True)
class AxisUse:
    """Axis ``dim`` of the tensor ``name`` of the module ``path`` carries ``labels``."""

    node: fx.Node
    path: str
    name: str
    dim: int
    labels: Labels
    role: Role


class Flow:
    """Layouts of all values so far, the axes of all weights, and what a prefix has to rewrite."""

    def __init__(self) -> None:
        self.labels = ChannelLabels()
        self.values: dict[fx.Node, Value] = {}
        self.uses: list[AxisUse] = []
        self.rewrites: list[Rewrite] = []
        self._axes: dict[tuple[int, int], Labels] = {}

    def layout(self, argument: Any) -> Layout | None:
        """What is known of a tensor; raises Obstacle for several at once."""
        value = self.values.get(argument) if isinstance(argument, fx.Node) else None
        if isinstance(value, tuple):
            raise Obstacle('it takes several tensors at once; allowed: one, or a concatenation')
        return value

    def axis_labels(self, tensor: Tensor, dim: int, size: int) -> Labels:
        """Labels of a weight's axis: those it has from an earlier use, or fresh ones."""
        known = self._axes.get((tensor.data_ptr(), dim))
        return self.labels.fresh(size) if known is None else known

    def use(self, tensor: Tensor, use: AxisUse) -> None:
        """Note what an axis of a weight carries; a weight used twice ties the channels."""
        known = self._axes.setdefault((tensor.data_ptr(), use.dim), use.labels)
        if len(known) != len(use.labels):
            raise Obstacle('its weight is used in two ways')
        self.labels.unite(known, use.labels)
        self.uses.append(use)


def shape_of(node: Any) -> tuple[int, ...]:
    """Shape of the tensor a node makes on the example input; raises Obstacle for other values."""
    shape: Any = node.meta.get('shape') if isinstance(node, fx.Node) else None
    if not is_tensor_shape(shape):
        raise Obstacle('it does not take a tensor where one is expected')
    sizes: tuple[int, ...] = shape
    return sizes


def is_tensor_shape(shape: Any) -> bool:
    """Whether a recorded shape is that of one tensor."""
    return isinstance(shape, tuple) and all(isinstance(size, int) for size in shape)


def holds_tensors(shape: Any) -> bool:
    """Whether a recorded shape is that of a tensor or of a structure with one."""
    if is_tensor_shape(shape):
        return True
    return isinstance(shape, tuple) and any(holds_tensors(part) for part in shape)


def argument(node: fx.Node, position: int, *names: str, default: Any = None) -> Any:
    """An argument of a function or method, by place or by one of its names."""
    if position < len(node.args):
        return node.args[position]
    for name in names:
        if name in node.kwargs:
            return node.kwargs[name]
    return default


def normal_axis(axis: int, dimensions: int) -> int:
    """An axis counted from the end."""
    return axis - dimensions if axis >= 0 else axis
