"""Walks a traced network and finds out which channels of which weights belong together."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from torch import fx, nn

from visionscaling_ros.vision.width_scaling.channel_labels import Layout
from visionscaling_ros.vision.width_scaling.flow import Flow, Obstacle, Value, holds_tensors
from visionscaling_ros.vision.width_scaling.layer_rules import LAYER_RULES
from visionscaling_ros.vision.width_scaling.not_scalable import NotScalableError
from visionscaling_ros.vision.width_scaling.operation_rules import OPERATION_RULES, REASONS
from visionscaling_ros.vision.width_scaling.operations import (
    module_path,
    node_operation,
    node_title,
)

UNKNOWN = 'how it passes channels on is not known'


def analyse(graph_module: fx.GraphModule, keep: Collection[str] = ()) -> Flow:
    """Layouts of all values and the axes of all weights.

    Channels of inputs and outputs are fixed. After the last layer with weights anything is allowed:
    what it takes counts as an output. Elsewhere an operation that cannot be followed is refused,
    unless it is in ``keep`` (names of modules or nodes): then the channels it takes are fixed.

    :raises NotScalableError: naming the node, its operation and why.
    """
    flow = Flow()
    weighted = _before_weights(graph_module)
    for node in graph_module.graph.nodes:
        if node.op == 'placeholder':
            shape = node.meta['shape']
            labels = flow.labels.fresh(shape[1], fixed=True)
            flow.values[node] = Layout(1 - len(shape), labels)
        elif node.op == 'output' or _kept(node, keep):
            _fix_inputs(flow, node)
        elif node.op != 'get_attr' and holds_tensors(node.meta['shape']):
            try:
                flow.values[node] = _value(flow, node, graph_module)
            except Obstacle as obstacle:
                if node in weighted and not _all_fixed(flow, node):
                    raise _refusal(graph_module, node, obstacle) from obstacle
                _fix_inputs(flow, node)
    return flow


def _value(flow: Flow, node: fx.Node, graph_module: fx.GraphModule) -> Value:
    tracked = any(flow.values.get(source) is not None for source in node.all_input_nodes)
    if 'input' in node.kwargs and not node.args:
        node.kwargs = {name: value for name, value in node.kwargs.items() if name != 'input'}
        node.args = (node.all_input_nodes[0],)
    if node.op == 'call_module':
        layer = graph_module.get_submodule(str(node.target))
        rule = LAYER_RULES.get(type(layer))
        if rule is not None:
            if layer._forward_hooks or layer._forward_pre_hooks:
                raise Obstacle('it has hooks; allowed: a layer that is its weights and no more')
            return rule(flow, node, layer)
        if tracked and any(True for _ in layer.parameters()):
            raise Obstacle(UNKNOWN)
    if not tracked:
        return None
    operation = node_operation(graph_module, node)
    operation_rule = OPERATION_RULES.get(operation)
    if operation_rule is None:
        raise Obstacle(REASONS.get(operation, UNKNOWN))
    return operation_rule(flow, node, graph_module)


def _before_weights(graph_module: fx.GraphModule) -> set[fx.Node]:
    """Nodes with a layer with trainable weights somewhere after them."""
    parameters = list(graph_module.parameters())
    any_trainable = any(parameter.requires_grad for parameter in parameters)

    def has_weights(node: fx.Node) -> bool:
        if node.op != 'call_module':
            return False
        own = list(graph_module.get_submodule(str(node.target)).parameters())
        return any(p.requires_grad for p in own) if any_trainable else bool(own)

    before: set[fx.Node] = set()
    for node in reversed(graph_module.graph.nodes):
        if node in before or has_weights(node):
            before.update(node.all_input_nodes)
    return before


def _kept(node: fx.Node, keep: Collection[str]) -> bool:
    path = module_path(node)
    return any(name in {node.name, path} or path.startswith(f'{name}.') for name in keep)


def _layouts(value: Any) -> list[Layout]:
    parts = value if isinstance(value, tuple) else (value,)
    return [part for part in parts if isinstance(part, Layout)]


def _fix_inputs(flow: Flow, node: fx.Node) -> None:
    for source in node.all_input_nodes:
        for layout in _layouts(flow.values.get(source)):
            flow.labels.fix(layout.labels)


def _all_fixed(flow: Flow, node: fx.Node) -> bool:
    fixed = flow.labels.fixed_roots()
    layouts = [x for source in node.all_input_nodes for x in _layouts(flow.values.get(source))]
    return all(root in fixed for x in layouts for root in flow.labels.roots(x.labels).tolist())


def _refusal(root: nn.Module, node: fx.Node, obstacle: Obstacle) -> NotScalableError:
    path = module_path(node)
    names = f'{path!r} or {node.name!r}' if path and path != node.name else repr(node.name)
    reason = f'{obstacle}; or name {names} in keep, which leaves the channels it takes as they are'
    target = node.target
    if node.op == 'call_module':
        target = type(root.get_submodule(str(target))).__name__
    elif not isinstance(target, str):
        target = getattr(target, '__name__', target)
    return NotScalableError(node_title(node), str(target), reason)
