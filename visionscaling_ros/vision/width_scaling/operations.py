"""What a node of a traced network does, in one spelling, and how messages name it."""

from __future__ import annotations

import torch
from torch import fx, nn


def operation_name(target: object) -> str:
    """One spelling for module types, functions, methods and aten operators: ``leakyrelu``."""
    if isinstance(target, torch._ops.OpOverload):
        target = target._schema.name.rpartition('::')[2]
    name = target if isinstance(target, str) else getattr(target, '__name__', str(target))
    return name.lower().replace('_', '')


def node_operation(root: nn.Module, node: fx.Node) -> str:
    """The operation of a node of a graph over ``root``, in one spelling."""
    if node.op == 'call_module':
        return operation_name(type(root.get_submodule(str(node.target))))
    if node.op in {'call_function', 'call_method'}:
        return operation_name(node.target)
    return node.op


def module_path(node: fx.Node) -> str:
    """The module a node belongs to; '' for the network itself."""
    stack = node.meta.get('nn_module_stack')
    if stack:
        return str(list(stack.values())[-1][0])
    return str(node.target) if node.op == 'call_module' else ''


def node_title(node: fx.Node) -> str:
    """How messages name a node."""
    path = module_path(node)
    return f'{path} (node {node.name})' if path else f'node {node.name}'
