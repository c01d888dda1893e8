"""How concatenation, splitting, indexing, reshaping and moving of axes pass channels on."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from torch import fx, nn

from visionscaling_ros.vision.width_scaling.channel_labels import Layout
from visionscaling_ros.vision.width_scaling.flow import (
    Flow,
    Obstacle,
    Value,
    argument,
    normal_axis,
    shape_of,
)
from visionscaling_ros.vision.width_scaling.operations import operation_name
from visionscaling_ros.vision.width_scaling.rewrites import SizeRewrite, SliceRewrite, SplitRewrite

# operations that take the sizes of their result
SIZED = ('view', 'reshape', 'expand')


def concatenation_rule(flow: Flow, node: fx.Node, _: nn.Module) -> Value:
    """Along the channels: one after the other; along another axis: tied."""
    parts: Any = argument(node, 0, 'tensors')
    along = normal_axis(argument(node, 1, 'dim', 'axis', default=0), len(shape_of(node)))
    layouts = [flow.layout(part) for part in parts]
    axes = {layout.axis for layout in layouts if layout is not None}
    if len(axes) > 1:
        raise Obstacle(f'the channels of its inputs are on different axes {sorted(axes)}')
    axis = axes.pop()
    known = [
        layout.labels if layout else flow.labels.fresh(shape_of(part)[axis], fixed=True)
        for part, layout in zip(parts, layouts, strict=True)
    ]
    if axis == along:
        return Layout(axis, np.concatenate(known))
    for labels in known[1:]:
        flow.labels.unite(known[0], labels)
    return Layout(axis, known[0])


def split_rule(flow: Flow, node: fx.Node, _: nn.Module) -> Value:
    """Along the channels: pieces; along another axis: the same channels in each."""
    source = flow.layout(node.args[0])
    if source is None:
        return None
    dimensions = len(shape_of(node.args[0]))
    along = normal_axis(argument(node, 2, 'dim', default=0), dimensions)
    shapes = node.meta['shape']
    if along != source.axis:
        return tuple(source for _ in shapes)
    ends = np.cumsum([shape[along] for shape in shapes])
    pieces = tuple(np.split(source.labels, ends[:-1]))
    flow.rewrites.append(SplitRewrite(node.name, along, pieces))
    return tuple(Layout(source.axis, piece) for piece in pieces)


def indexing_rule(flow: Flow, node: fx.Node, root: nn.Module) -> Value:
    """An element of a tuple, or a slice of a tensor."""
    value = flow.values.get(node.args[0]) if isinstance(node.args[0], fx.Node) else None
    index = node.args[1]
    if isinstance(value, tuple):
        if not isinstance(index, int):
            raise Obstacle('it takes several pieces at once; allowed: one by its number')
        return value[index]
    if value is None:
        return None
    parts = list(index) if isinstance(index, tuple) else [index]
    dimensions = len(shape_of(node.args[0]))
    if all(part in (slice(None), Ellipsis, None) for part in parts):
        return reshape_rule(flow, node, root)  # it only adds axes
    if any(not isinstance(part, slice) and part is not Ellipsis for part in parts):
        raise Obstacle('it picks single places; allowed: slices')
    axis = value.axis + dimensions
    if Ellipsis in parts:
        hidden = dimensions - (len(parts) - 1)
        place = parts.index(Ellipsis)
        if place <= axis < place + hidden:
            return value
        position = axis if axis < place else axis - hidden + 1
    else:
        position = axis
    if position >= len(parts) or parts[position] == slice(None):
        return value
    part: Any = parts[position]
    if any(bound is not None and not isinstance(bound, int) for bound in (part.start, part.stop)):
        raise Obstacle('it slices the channels at computed places; allowed: numbers')
    start, stop, step = part.indices(len(value.labels))
    if step != 1:
        raise Obstacle('it slices the channels in steps; allowed: without a step')
    before, inside = value.labels[:start], value.labels[start:stop]
    flow.rewrites.append(SliceRewrite(node.name, position, before, inside))
    return Layout(value.axis, inside)


def reshape_rule(flow: Flow, node: fx.Node, _: nn.Module) -> Value:
    """Reshaping that leaves the channels an axis, at most with what follows them folded in."""
    source = flow.layout(node.args[0])
    if source is None:
        return None
    old, new = shape_of(node.args[0]), shape_of(node)
    axis = source.axis + len(old)
    ahead, channels = prod(old[:axis]), old[axis]
    for position, size in enumerate(new):
        if prod(new[:position]) != ahead or size % channels:
            continue
        folded = size // channels
        if folded in {prod(old[axis + 1 : stop]) for stop in range(axis + 1, len(old) + 1)}:
            labels = np.repeat(source.labels, folded)
            _note_size(flow, node, position, labels)
            return Layout(position - len(new), labels)
    raise Obstacle(
        f'it turns {list(old)} into {list(new)}, which mixes the channels (axis {axis}) with what '
        'is before them or cuts them up; allowed: an axis of their own, or flattening what follows'
    )


def expand_rule(flow: Flow, node: fx.Node, _: nn.Module) -> Value:
    """Broadcast to given sizes."""
    source = flow.layout(node.args[0])
    if source is None:
        return None
    new = shape_of(node)
    if len(source.labels) != new[source.axis]:
        raise Obstacle('it repeats the channels')
    _note_size(flow, node, source.axis + len(new), source.labels)
    return source


def permute_rule(flow: Flow, node: fx.Node, _: nn.Module) -> Value:
    """Axes in another order."""
    source = flow.layout(node.args[0])
    if source is None:
        return None
    order: Any = node.args[1:] or node.kwargs.get('dims')
    if isinstance(order[0], list | tuple):
        order = order[0]
    dimensions = len(order)
    order = [normal_axis(axis, dimensions) for axis in order]
    return Layout(order.index(source.axis) - dimensions, source.labels)


def transpose_rule(flow: Flow, node: fx.Node, _: nn.Module) -> Value:
    """Two axes swapped."""
    source = flow.layout(node.args[0])
    if source is None:
        return None
    dimensions = len(shape_of(node))
    first = normal_axis(argument(node, 1, 'dim0', 'axis0'), dimensions)
    second = normal_axis(argument(node, 2, 'dim1', 'axis1'), dimensions)
    moved = {first: second, second: first}
    return Layout(moved.get(source.axis, source.axis), source.labels)


def _note_size(flow: Flow, node: fx.Node, position: int, labels: Any) -> None:
    """Have a prefix correct the number of channels where it is written out."""
    if operation_name(node.target) not in SIZED or len(node.args) < 2:
        return
    sizes: Any = node.args[1] if isinstance(node.args[1], list | tuple) else node.args[1:]
    if position < len(sizes) and sizes[position] == len(labels) and len(sizes) > 1:
        flow.rewrites.append(SizeRewrite(node.name, position, labels))
