"""How operations without weights of their own pass channels on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, fx, nn

from visionscaling_ros.vision.width_scaling.channel_labels import Layout
from visionscaling_ros.vision.width_scaling.flow import (
    AxisUse,
    Flow,
    Obstacle,
    Role,
    Value,
    argument,
    normal_axis,
    shape_of,
)
from visionscaling_ros.vision.width_scaling.operations import operation_name
from visionscaling_ros.vision.width_scaling.shape_rules import (
    concatenation_rule,
    expand_rule,
    indexing_rule,
    permute_rule,
    reshape_rule,
    split_rule,
    transpose_rule,
)

OperationRule = Callable[[Flow, fx.Node, nn.Module], Value]

# one value in, one out, whatever the channel; softmax and normalize do not ask for their order
POINTWISE = (
    'abs', 'alphadropout', 'celu', 'clamp', 'clampmax', 'clampmin', 'clip', 'clone', 'contiguous',
    'cos', 'detach', 'double', 'dropout', 'dropout1d', 'dropout2d', 'dropout3d', 'elu', 'exp',
    'featurealphadropout', 'featuredropout', 'float', 'gelu', 'half', 'hardshrink', 'hardsigmoid',
    'hardswish', 'hardtanh', 'identity', 'leakyrelu', 'log', 'log1p', 'logsigmoid', 'logsoftmax',
    'mish', 'neg', 'normalize', 'pow', 'reciprocal', 'relu', 'relu6', 'round', 'rsqrt', 'selu',
    'sigmoid', 'silu', 'sin', 'softmax', 'softmax2d', 'softplus', 'softshrink', 'softsign', 'sqrt',
    'square', 'tanh', 'tanhshrink', 'threshold', 'to', 'toint', 'type', 'typeas',
)  # fmt: skip
# work on the axes after the channels
SPATIAL_KINDS = (
    'maxpool', 'avgpool', 'lppool', 'adaptivemaxpool', 'adaptiveavgpool', 'zeropad', 'constantpad',
    'reflectionpad', 'replicationpad', 'circularpad', 'upsamplenearest', 'upsamplingnearest',
    'upsamplenearestexact',
)  # fmt: skip
SPATIAL = (
    *(f'{kind}{dimensions}d' for kind in SPATIAL_KINDS for dimensions in (1, 2, 3)),
    'interpolate', 'upsample', 'upsamplebicubic2d', 'upsamplebilinear2d', 'upsamplelinear1d',
    'upsampletrilinear3d', 'upsamplingbilinear2d',
)  # fmt: skip
BINARY = (
    'add', 'sub', 'rsub', 'mul', 'multiply', 'div', 'divide', 'truediv', 'truedivide', 'iadd',
    'isub', 'imul', 'itruediv', 'radd', 'rmul', 'maximum', 'minimum', 'eq', 'ge', 'gt', 'le', 'lt',
    'ne',
)  # fmt: skip
REDUCTIONS = ('mean', 'sum', 'amax', 'amin', 'std', 'var', 'norm', 'logsumexp')
RESHAPES = ('view', 'reshape', 'flatten', 'squeeze', 'unsqueeze')
# what messages say of operations that are often met
REASONS = {
    'pixelshuffle': 'it turns channels into pixels',
    'pixelunshuffle': 'it turns pixels into channels',
    'channelshuffle': 'it interleaves the channels',
    'localresponsenorm': 'it depends on the order of the channels',
    'multiheadattention': 'its heads mix the channels',
}


def pointwise_rule(flow: Flow, node: fx.Node, _: nn.Module) -> Value:
    """Channels stay where they are."""
    return flow.layout(node.args[0])


def spatial_rule(flow: Flow, node: fx.Node, _: nn.Module) -> Value:
    """Channels stay on the axis after the batch."""
    source = flow.layout(node.args[0])
    if source is not None and source.axis != 1 - len(shape_of(node)):
        raise Obstacle(f'it works on space, but the channels are on axis {source.axis}')
    return source


def pad_rule(flow: Flow, node: fx.Node, _: nn.Module) -> Value:
    """Padding of the axes after the channels."""
    source = flow.layout(node.args[0])
    padding = argument(node, 1, 'pad')
    if source is not None and len(padding) // 2 >= -source.axis:
        raise Obstacle('it pads the channels')
    return source


def reduction_rule(flow: Flow, node: fx.Node, _: nn.Module) -> Value:
    """Means and the like: over other axes the channels stay, over the channels they are gone."""
    source = flow.layout(node.args[0])
    start = 2 if operation_name(node.target) == 'norm' else 1
    axes = argument(node, start, 'dim', 'axis')
    if source is None or axes is None or isinstance(axes, bool):
        return None
    dimensions = len(shape_of(node.args[0]))
    axes = [normal_axis(axis, dimensions) for axis in (axes if _many(axes) else [axes])]
    if source.axis in axes:
        return None
    if len(shape_of(node)) == dimensions:
        return source
    return Layout(source.axis + sum(axis > source.axis for axis in axes), source.labels)


def binary_rule(flow: Flow, node: fx.Node, root: nn.Module) -> Value:
    """Sums, products and the like tie the channels of both sides."""
    sides = [arg for arg in (*node.args[:2], *node.kwargs.values()) if isinstance(arg, fx.Node)]
    layouts = [flow.layout(side) for side in sides]
    axes = {layout.axis for layout in layouts if layout is not None}
    if len(axes) > 1:
        raise Obstacle(f'the channels of its inputs are on different axes {sorted(axes)}')
    axis = axes.pop()
    result: Layout | None = None
    for side, known in zip(sides, layouts, strict=True):
        layout = known or _untracked_side(flow, side, axis, root)
        if layout is None:
            continue
        if result is None or len(result.labels) == 1:
            result = layout
        elif len(layout.labels) > 1:
            flow.labels.unite(result.labels, layout.labels)
    return result


def _untracked_side(flow: Flow, side: fx.Node, axis: int, root: nn.Module) -> Layout | None:
    """A factor for each channel is a weight like others; anything else keeps its channels."""
    shape = side.meta.get('shape')
    if not isinstance(shape, tuple) or len(shape) < -axis or shape[axis] == 1:
        return None
    if side.op != 'get_attr':
        return Layout(axis, flow.labels.fresh(shape[axis], fixed=True))
    path, _, name = str(side.target).rpartition('.')
    tensor: Tensor = getattr(root.get_submodule(path), name)
    dim = axis + len(shape)
    labels = flow.axis_labels(tensor, dim, shape[axis])
    flow.use(tensor, AxisUse(side, path, name, dim, labels, Role.SCALED))
    return Layout(axis, labels)


def _many(axes: Any) -> bool:
    return isinstance(axes, list | tuple)


OPERATION_RULES: dict[str, OperationRule] = {
    **dict.fromkeys(POINTWISE, pointwise_rule),
    **dict.fromkeys(SPATIAL, spatial_rule),
    **dict.fromkeys((*BINARY, 'expandas'), binary_rule),
    **dict.fromkeys(REDUCTIONS, reduction_rule),
    **dict.fromkeys(RESHAPES, reshape_rule),
    **dict.fromkeys(('cat', 'concat', 'concatenate'), concatenation_rule),
    **dict.fromkeys(('chunk', 'split', 'splitwithsizes', 'tensorsplit'), split_rule),
    **dict.fromkeys(('transpose', 'swapaxes', 'swapdims'), transpose_rule),
    'pad': pad_rule,
    'permute': permute_rule,
    'expand': expand_rule,
    'getitem': indexing_rule,
}
