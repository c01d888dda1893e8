"""Layers that a traced network calls as functions, turned into modules around the same weights."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from visionscaling_ros.vision.width_scaling.operations import node_operation

CONVOLUTIONS = {'conv1d': nn.Conv1d, 'conv2d': nn.Conv2d, 'conv3d': nn.Conv3d}
TRANSPOSED = {
    'convtranspose1d': nn.ConvTranspose1d,
    'convtranspose2d': nn.ConvTranspose2d,
    'convtranspose3d': nn.ConvTranspose3d,
}
NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
# the arguments of torch.nn.functional and of the aten operators, in order
CONVOLUTION_ARGUMENTS = ('x', 'weight', 'bias', 'stride', 'padding', 'dilation', 'groups')
TRANSPOSED_ARGUMENTS = (
    'x', 'weight', 'bias', 'stride', 'padding', 'output_padding', 'groups', 'dilation',
)  # fmt: skip
NORM_ARGUMENTS = (
    'x', 'running_mean', 'running_var', 'weight', 'bias', 'training', 'momentum', 'eps',
)  # fmt: skip
ATEN_NORM_ARGUMENTS = (
    'x', 'weight', 'bias', 'running_mean', 'running_var', 'training', 'momentum', 'eps',
)  # fmt: skip
WEIGHTS = ('weight', 'bias', 'running_mean', 'running_var')


def layers_to_modules(graph_module: fx.GraphModule) -> None:
    """Replace what can be; a layer whose weight is computed stays a function."""
    graph = graph_module.graph
    for node in list(graph.nodes):
        if node.op != 'call_function':
            continue
        operation = node_operation(graph_module, node)
        layer = _layer(graph_module, node, operation)
        if layer is None:
            continue
        name = f'_layer_{node.name}'
        graph_module.add_submodule(name, layer)
        with graph.inserting_before(node):
            replacement = graph.call_module(name, (node.all_input_nodes[0],))
        replacement.meta = dict(node.meta)
        node.replace_all_uses_with(replacement)
        graph.erase_node(node)
    for node in list(graph.nodes):
        if node.op == 'get_attr' and not node.users:
            graph.erase_node(node)


def _layer(graph_module: fx.GraphModule, node: fx.Node, operation: str) -> nn.Module | None:
    """The module that does what ``node`` does; None when there is none."""
    names = _argument_names(operation, aten=isinstance(node.target, torch._ops.OpOverload))
    if names is None:
        return None
    options = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    options.pop('input', None)
    options.pop('x', None)
    tensors: dict[str, Tensor] = {}
    for name in WEIGHTS:
        source = options.pop(name, None)
        if source is None:
            continue
        if not isinstance(source, fx.Node) or source.op != 'get_attr':
            return None
        tensors[name] = _attribute(graph_module, str(source.target))
    if any(isinstance(value, fx.Node) for value in options.values()) or 'weight' not in tensors:
        return None
    layer = _empty_layer(operation, tensors, options, len(node.meta['shape']))
    if layer is None:
        return None
    for name, tensor in tensors.items():
        if name in layer._buffers:
            layer._buffers[name] = tensor
        else:
            layer._parameters[name] = (
                tensor if isinstance(tensor, nn.Parameter) else nn.Parameter(tensor, False)
            )
    return layer.eval()


def _argument_names(operation: str, *, aten: bool) -> tuple[str, ...] | None:
    if operation in CONVOLUTIONS:
        return CONVOLUTION_ARGUMENTS
    if operation in TRANSPOSED:
        return TRANSPOSED_ARGUMENTS
    if operation in {'linear', 'prelu'}:
        return CONVOLUTION_ARGUMENTS[:3]
    if operation == 'batchnorm':
        return ATEN_NORM_ARGUMENTS if aten else NORM_ARGUMENTS
    return None


def _empty_layer(
    operation: str, tensors: dict[str, Tensor], options: dict[str, Any], dimensions: int
) -> nn.Module | None:
    """A layer of the right shape whose weights take no memory."""
    weight = tensors['weight']
    bias = 'bias' in tensors
    if operation == 'linear':
        return nn.Linear(weight.shape[1], weight.shape[0], bias, device='meta')
    if operation == 'prelu':
        return nn.PReLU(len(weight), device='meta')
    if operation == 'batchnorm':
        if options.get('training') or not bias or 'running_mean' not in tensors:
            return None
        layer = NORMS[dimensions](
            len(weight), eps=options.get('eps', 1e-5), momentum=options.get('momentum', 0.1),
            device='meta',
        )  # fmt: skip
        layer.num_batches_tracked = torch.zeros((), dtype=torch.long, device=weight.device)
        return layer
    groups = cast('int', options.get('groups', 1))
    sizes = {
        name: tuple(value) if isinstance(value, list | tuple) else value
        for name, value in options.items()
    }
    if operation in TRANSPOSED:
        channels = (weight.shape[0], weight.shape[1] * groups)
        layer_type: Any = TRANSPOSED[operation]
    else:
        channels = (weight.shape[1] * groups, weight.shape[0])
        layer_type = CONVOLUTIONS[operation]
    made: nn.Module = layer_type(
        *channels, tuple(weight.shape[2:]), bias=bias, device='meta', **sizes
    )
    return made


def _attribute(root: nn.Module, path: str) -> Tensor:
    owner, _, name = path.rpartition('.')
    value: Tensor = getattr(root.get_submodule(owner), name)
    return value
