"""How layers with weights pass channels on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, fx, nn

from visionscaling_ros.vision.width_scaling.channel_labels import Labels, Layout
from visionscaling_ros.vision.width_scaling.flow import (
    AxisUse,
    Flow,
    Obstacle,
    Role,
    shape_of,
)

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
NORM_TENSORS = ('weight', 'bias', 'running_mean', 'running_var')

LayerRule = Callable[[Flow, fx.Node, Any], Layout | None]


def keeps_whole_groups(layer: Any) -> bool:
    """Whether a grouped convolution loses whole groups (and not channels within each).

    Whichever leaves the finer choice: many small groups go one by one, few large ones are thinned.
    A depthwise convolution has groups of one channel.
    """
    return bool(layer.groups >= max(layer.in_channels, layer.out_channels) // layer.groups)


def convolution_rule(flow: Flow, node: fx.Node, layer: Any) -> Layout:
    """Convolutions of any dimension, grouped, depthwise and transposed."""
    axis = -1 - len(layer.kernel_size)
    inputs = _input_labels(flow, node, axis, layer.in_channels)
    transposed = isinstance(layer, TRANSPOSED)
    input_dim, output_dim = (0, 1) if transposed else (1, 0)
    groups = layer.groups
    if transposed and groups > 1:
        outputs = flow.labels.fresh(layer.out_channels)
    else:
        outputs = flow.axis_labels(layer.weight, output_dim, layer.out_channels)
    per_group = (inputs.reshape(groups, -1), outputs.reshape(groups, -1))
    if groups > 1 and keeps_whole_groups(layer):
        for group_inputs, group_outputs in zip(*per_group, strict=True):
            members = np.concatenate([group_inputs, group_outputs])
            flow.labels.unite(np.full(len(members), members[0]), members)
        # the axis that all groups share stays as it is
        made = inputs if transposed else outputs
        _use(flow, node, layer, 'weight', made, dim=0, role=Role.MADE)
    else:
        for labels in per_group:
            for group_labels in labels[1:]:
                flow.labels.unite(labels[0], group_labels)
        read, made = (inputs, per_group[1][0]) if transposed else (per_group[0][0], outputs)
        _use(flow, node, layer, 'weight', read, dim=input_dim, role=Role.READ)
        _use(flow, node, layer, 'weight', made, dim=output_dim, role=Role.MADE)
    _use(flow, node, layer, 'bias', outputs)
    return Layout(axis, outputs)


def linear_rule(flow: Flow, node: fx.Node, layer: nn.Linear) -> Layout:
    """A fully connected layer over the channels, or over another axis, which stays."""
    source = flow.layout(node.args[0])
    if source is not None and source.axis != -1:
        return source
    inputs = _input_labels(flow, node, -1, layer.in_features)
    outputs = flow.axis_labels(layer.weight, 0, layer.out_features)
    _use(flow, node, layer, 'weight', inputs, dim=1, role=Role.READ)
    _use(flow, node, layer, 'weight', outputs, dim=0, role=Role.MADE)
    _use(flow, node, layer, 'bias', outputs)
    return Layout(-1, outputs)


def channel_norm_rule(flow: Flow, node: fx.Node, layer: Any) -> Layout:
    """Batch norm: each channel by itself."""
    axis = 1 - len(shape_of(node))
    labels = _input_labels(flow, node, axis, layer.num_features)
    for name in NORM_TENSORS:
        _use(flow, node, layer, name, labels)
    return Layout(axis, labels)


def group_norm_rule(flow: Flow, node: fx.Node, layer: nn.GroupNorm) -> Layout:
    """Group norm keeps its groups, each with fewer channels."""
    axis = 1 - len(shape_of(node))
    labels = _input_labels(flow, node, axis, layer.num_channels)
    per_group = labels.reshape(layer.num_groups, -1)
    for group_labels in per_group[1:]:
        flow.labels.unite(per_group[0], group_labels)
    for name in NORM_TENSORS[:2]:
        _use(flow, node, layer, name, labels)
    return Layout(axis, labels)


def layer_norm_rule(flow: Flow, node: fx.Node, layer: nn.LayerNorm) -> Layout:
    """Layer norm over axes that hold the channels, or over others, which stay."""
    source = flow.layout(node.args[0])
    dimensions = len(layer.normalized_shape)
    axis = -dimensions if source is None else source.axis
    if source is not None and axis < -dimensions:
        return source
    if not layer.elementwise_affine:
        raise Obstacle('it has no factors; allowed: elementwise_affine=True')
    labels = _input_labels(flow, node, axis, layer.normalized_shape[axis])
    for name in NORM_TENSORS[:2]:
        _use(flow, node, layer, name, labels, dim=dimensions + axis)
    return Layout(axis, labels)


def prelu_rule(flow: Flow, node: fx.Node, layer: nn.PReLU) -> Layout | None:
    """PReLU with one slope for each channel or one for all."""
    source = flow.layout(node.args[0])
    axis = 1 - len(shape_of(node))
    if layer.num_parameters == 1:
        return source
    labels = _input_labels(flow, node, axis, layer.num_parameters)
    _use(flow, node, layer, 'weight', labels)
    return Layout(axis, labels)


def _input_labels(flow: Flow, node: fx.Node, axis: int, size: int) -> Labels:
    """Labels of the channels a layer reads from ``axis``; fixed ones where nothing is known."""
    source = flow.layout(node.args[0])
    if source is None:
        return flow.labels.fresh(size, fixed=True)
    if source.axis != axis:
        raise Obstacle(f'it reads axis {axis}, the channels are on axis {source.axis}')
    return source.labels


def _use(
    flow: Flow,
    node: fx.Node,
    layer: nn.Module,
    name: str,
    labels: Labels,
    *,
    dim: int = 0,
    role: Role = Role.SCALED,
) -> None:
    """Note what an axis of a weight carries, where the layer has that weight."""
    tensor = getattr(layer, name, None)
    if isinstance(tensor, Tensor):
        flow.use(tensor, AxisUse(node, str(node.target), name, dim, labels, role))


LAYER_RULES: dict[type[nn.Module], LayerRule] = {
    **dict.fromkeys((*CONVOLUTIONS, *TRANSPOSED), convolution_rule),
    **dict.fromkeys(BATCH_NORMS, channel_norm_rule),
    nn.Linear: linear_rule,
    nn.GroupNorm: group_norm_rule,
    nn.LayerNorm: layer_norm_rule,
    nn.PReLU: prelu_rule,
}
