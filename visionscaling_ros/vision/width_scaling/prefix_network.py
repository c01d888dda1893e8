"""Builds a network of some width out of the leading channels of the full one."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, fx, nn

from visionscaling_ros.vision.width_scaling.channel_groups import ChannelGroups
from visionscaling_ros.vision.width_scaling.channel_labels import Labels
from visionscaling_ros.vision.width_scaling.flow import AxisUse, Flow
from visionscaling_ros.vision.width_scaling.layer_rules import (
    BATCH_NORMS,
    CONVOLUTIONS,
    TRANSPOSED,
    keeps_whole_groups,
)
from visionscaling_ros.vision.width_scaling.prefix_layer import AxisCuts, PrefixLayer, ranges_of
from visionscaling_ros.vision.width_scaling.prefix_modules import (
    PrefixBatchNorm,
    PrefixConvolution,
    PrefixFactor,
    PrefixGroupNorm,
    PrefixLayerNorm,
    PrefixLinear,
    PrefixPReLU,
    PrefixTransposedConvolution,
)

PREFIX_TYPES: dict[type[nn.Module], type[PrefixLayer]] = {
    **dict.fromkeys(CONVOLUTIONS, PrefixConvolution),
    **dict.fromkeys(TRANSPOSED, PrefixTransposedConvolution),
    nn.Linear: PrefixLinear,
    nn.PReLU: PrefixPReLU,
    **dict.fromkeys(BATCH_NORMS, PrefixBatchNorm),
    nn.GroupNorm: PrefixGroupNorm,
    nn.LayerNorm: PrefixLayerNorm,
}


def prefix_network(
    full: fx.GraphModule, flow: Flow, groups: ChannelGroups, kept: Mapping[str, int]
) -> fx.GraphModule:
    """The network in which group ``name`` has only its first ``kept[name]`` channels.

    All weights share the memory of ``full``; the statistics of batch norms are its own.
    """

    def count(labels: Labels) -> int:
        return len(groups.kept_positions(labels, kept))

    uses: dict[str, list[AxisUse]] = {}
    for use in flow.uses:
        path = f'{use.path}.{use.name}'.lstrip('.') if use.node.op == 'get_attr' else use.path
        uses.setdefault(path, []).append(use)
    graph = copy.deepcopy(full.graph)
    nodes = {node.name: node for node in graph.nodes}
    for rewrite in flow.rewrites:
        rewrite.apply(nodes[rewrite.node_name], count)
    parts: dict[str, Any] = {}
    for node in list(graph.nodes):
        target = str(node.target)
        if node.op == 'call_module' and target not in parts:
            layer = full.get_submodule(target)
            parts[target] = _prefix_layer(layer, uses.get(target, ()), groups, kept)
        elif node.op == 'get_attr':
            owner, _, name = target.rpartition('.')
            tensor: Tensor = getattr(full.get_submodule(owner), name)
            if target in uses:
                factor = f'_factor_{target.replace(".", "_")}'
                parts[factor] = PrefixFactor(tensor, _cuts(uses[target], groups, kept)[name])
                node.op, node.target = 'call_module', factor
            else:
                parts[target] = tensor
    return fx.GraphModule(parts, graph, type(full).__name__).eval()


def dense_network(prefix: fx.GraphModule) -> fx.GraphModule:
    """A copy of a prefix with ordinary layers and weights of its own."""
    parts: dict[str, Any] = {}
    for node in prefix.graph.nodes:
        target = str(node.target)
        if node.op == 'call_module':
            layer = prefix.get_submodule(target)
            if isinstance(layer, PrefixLayer | PrefixFactor):
                parts[target] = layer.dense()
            elif target not in parts:
                parts[target] = copy.deepcopy(layer)
        elif node.op == 'get_attr':
            owner, _, name = target.rpartition('.')
            parts[target] = copy.deepcopy(getattr(prefix.get_submodule(owner), name))
    dense = fx.GraphModule(parts, copy.deepcopy(prefix.graph), type(prefix).__name__)
    return dense.train(prefix.training)


def _cuts(
    uses: Sequence[AxisUse], groups: ChannelGroups, kept: Mapping[str, int]
) -> dict[str, AxisCuts]:
    ranges: dict[str, dict[int, Any]] = {}
    for use in uses:
        positions = groups.kept_positions(use.labels, kept)
        ranges.setdefault(use.name, {})[use.dim] = ranges_of(positions)
    return {name: AxisCuts(by_dim) for name, by_dim in ranges.items()}


def _prefix_layer(
    layer: nn.Module, uses: Sequence[AxisUse], groups: ChannelGroups, kept: Mapping[str, int]
) -> nn.Module:
    prefix_type = PREFIX_TYPES.get(type(layer))
    if prefix_type is None or not uses:
        # weights that no rule covers stay shared; all else has its own state (mode, statistics)
        shared = any(True for _ in layer.parameters())
        return layer if shared and not isinstance(layer, BATCH_NORMS) else copy.deepcopy(layer)
    sizes = {(use.name, use.dim): len(groups.kept_positions(use.labels, kept)) for use in uses}
    return prefix_type(layer, _cuts(uses, groups, kept), _settings(layer, sizes))


def _settings(layer: nn.Module, sizes: Mapping[tuple[str, int], int]) -> dict[str, Any]:
    """Attributes that say how wide a layer is, for given sizes of its weights' axes."""
    first, second = sizes.get(('weight', 0)), sizes.get(('weight', 1))
    if isinstance(layer, (*CONVOLUTIONS, *TRANSPOSED)):
        return _convolution_settings(layer, first, second)
    if isinstance(layer, nn.Linear):
        return {'in_features': second, 'out_features': first}
    if isinstance(layer, nn.PReLU):
        return {'num_parameters': first}
    if isinstance(layer, nn.GroupNorm):
        return {'num_channels': first}
    if isinstance(layer, nn.LayerNorm):
        whole = enumerate(layer.normalized_shape)
        shape = tuple(sizes.get(('weight', dim), size) for dim, size in whole)
        return {'normalized_shape': shape}
    return {'num_features': first or sizes.get(('running_mean', 0))}


def _convolution_settings(layer: Any, first: int | None, second: int | None) -> dict[str, Any]:
    groups = layer.groups
    transposed = isinstance(layer, TRANSPOSED)
    if groups > 1 and keeps_whole_groups(layer):
        kept = first or 0
        groups = kept * groups // (layer.in_channels if transposed else layer.out_channels)
        other = groups * layer.weight.shape[1]
    else:
        kept, other = first or 0, (second or 0) * groups
    inputs, outputs = (kept, other) if transposed else (other, kept)
    return {'in_channels': inputs, 'out_channels': outputs, 'groups': groups}
