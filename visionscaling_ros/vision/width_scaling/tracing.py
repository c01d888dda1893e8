"""A network as a graph whose every layer with weights is a module and whose every shape is known.

Networks are traced by ``torch.fx``. Layers called as functions (``F.conv2d(x, self.weight)``, and
all layers of a program that ``torch.export`` made) are given a module around the same parameters,
so that the rest of this folder knows one form only.
"""

from __future__ import annotations

import copy
import traceback
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from visionscaling_ros.vision.width_scaling.flow import argument
from visionscaling_ros.vision.width_scaling.functional_layers import layers_to_modules
from visionscaling_ros.vision.width_scaling.not_scalable import NotScalableError
from visionscaling_ros.vision.width_scaling.operations import (
    node_operation,
    node_title,
    operation_name,
)

TORCH_FOLDER = Path(torch.__file__).parent
# how many pieces, or their sizes: the argument's names
SPLITS = {
    'chunk': ('chunks',),
    'split': ('split_size_or_sections', 'split_size'),
    'tensorsplit': ('indices_or_sections', 'sections', 'indices'),
}
# checks of torch.export, made for full width
EXPORT_GUARDS = 'guardsfn'


class _ShapeRecorder(fx.Interpreter):
    """Runs a graph and notes each node's shape, or the tuple of shapes, as ``meta['shape']``."""

    def run_node(self, n: fx.Node) -> Any:
        try:
            value = super().run_node(n)
        except Exception as error:
            reason = f'it fails on the example input: {error}'
            raise NotScalableError(node_title(n), node_operation(self.module, n), reason) from error
        n.meta['shape'] = _shape(value)
        return value


def _shape(value: Any) -> Any:
    """Shape of a tensor, the same for each part of a tuple or list, None for the rest."""
    if isinstance(value, Tensor):
        return tuple(value.shape)
    if isinstance(value, tuple | list):
        return tuple(_shape(part) for part in value)
    return None


class _Tracer(fx.Tracer):
    """As ``torch.fx`` does it; pieces of a split, their number written out, are a tuple.

    So loops over them and slices of them can be followed (``list(x.chunk(2, 1))``).
    """

    def create_proxy(self, kind: str, target: Any, *args: Any, **kwargs: Any) -> Any:
        proxy: Any = super().create_proxy(kind, target, *args, **kwargs)
        operation = operation_name(target)
        if kind not in {'call_function', 'call_method'} or operation not in SPLITS:
            return proxy
        pieces = argument(proxy.node, 1, *SPLITS[operation])
        if isinstance(pieces, list | tuple):
            pieces = len(pieces) + (operation == 'tensorsplit')
        elif operation == 'split':
            return proxy  # the size of a piece: their number depends on the input
        return tuple(proxy[i] for i in range(pieces)) if isinstance(pieces, int) else proxy


def trace(module: nn.Module, example: Tensor) -> fx.GraphModule:
    """The graph of ``module`` with ``meta['shape']`` at every node; shares all its parameters.

    :raises NotScalableError: naming what cannot be traced, or the node that fails.
    """
    graph_module = _traced(module)
    for node in list(graph_module.graph.nodes):
        if node.op == 'get_attr' and not node.users:
            graph_module.graph.erase_node(node)
    check_runs(graph_module, example)
    layers_to_modules(graph_module)
    graph_module.recompile()
    return graph_module


def plain_graph_module(module: fx.GraphModule) -> fx.GraphModule:
    """The same graph over the same parameters, without the checks that torch.export adds."""
    graph = copy.deepcopy(module.graph)
    for node in list(graph.nodes):
        if node.op == 'call_module' and node_operation(module, node) == EXPORT_GUARDS:
            graph.erase_node(node)
    return fx.GraphModule(module, graph)


def check_runs(graph_module: fx.GraphModule, example: Tensor) -> None:
    """Run a network once.

    :raises NotScalableError: naming the node that fails.
    """
    with torch.no_grad():
        _ShapeRecorder(graph_module).run(example.clone())


def _traced(module: nn.Module) -> fx.GraphModule:
    name = type(module).__name__
    if isinstance(module, torch.jit.ScriptModule):
        reason = 'it is TorchScript; allowed: the nn.Module it was made of, or a torch.export file'
        raise NotScalableError('the network', name, reason)
    if isinstance(module, fx.GraphModule):
        return plain_graph_module(module)
    try:
        return fx.GraphModule(module, _Tracer().trace(module))
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if TORCH_FOLDER not in Path(f.filename).parents]
        place = f'{Path(own[-1].filename).name}:{own[-1].lineno} ({own[-1].line})'
        reason = (
            f'torch.fx cannot trace {place}: {error}; allowed: a forward whose control flow does '
            'not depend on the input, or torch.export.export(network, (example,)).module()'
        )
        raise NotScalableError('the network', name, reason) from error
