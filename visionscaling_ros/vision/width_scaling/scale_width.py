"""Narrower versions of any convolutional network that share its memory.

Dynamic model scaling (DMS, IEEE Access 2019) orders the filters of a network by importance and runs
the leading share of them. Here for networks of any structure: channels that belong together are
found in the traced network, put in order together, and cut together.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.width_scaling.channel_analysis import analyse
from visionscaling_ros.vision.width_scaling.channel_groups import ChannelGroups, Positions
from visionscaling_ros.vision.width_scaling.flow import Flow
from visionscaling_ros.vision.width_scaling.importance import importance_orders
from visionscaling_ros.vision.width_scaling.not_scalable import NotScalableError
from visionscaling_ros.vision.width_scaling.operations import module_path
from visionscaling_ros.vision.width_scaling.output_tensors import output_tensors
from visionscaling_ros.vision.width_scaling.prefix_network import prefix_network
from visionscaling_ros.vision.width_scaling.scaled_networks import ScaledNetworks
from visionscaling_ros.vision.width_scaling.tracing import check_runs, plain_graph_module, trace

# sums in another order differ by rounding only
REORDERING_TOLERANCE = 1e-4


def scale_width(
    module: nn.Module,
    ratio: float | Sequence[float],
    example: Tensor,
    *,
    keep: Collection[str] = (),
    channel_multiple: int = 1,
) -> ScaledNetworks:
    """Order the filters of a network by importance, and cut it to the leading share of them.

    ``module`` itself is left as it is. ``result.full`` is a copy of it, in eval mode, with its
    filters reordered and its function unchanged; ``result.at(ratio)`` are narrower networks whose
    weights, factors and offsets of norms included, are parts of its own, in the same memory. Only
    the running statistics of batch norms are each width's own, as narrow networks see others (Yu &
    Huang, ICCV 2019, arXiv:1903.05134): fit them with ``recalibrate_norms``. Channels of the input
    and of the outputs are never cut.

    :param ratio: share of the channels to keep, above 0, at most 1; or several. Every group of
        channels that belong together keeps round(ratio * channels), at least 1.
    :param example: an input batch (N, C, H, W) the network runs on.
    :param keep: names of modules or graph nodes to leave at full width, with what they read.
    :param channel_multiple: round what a group keeps to a multiple of this, where it has as many.
    :raises InvalidValueError: for a ratio, multiple or name in ``keep`` that is not allowed.
    :raises NotScalableError: naming the operation that stands in the way, and why.
    """
    ratios = [float(ratio)] if isinstance(ratio, int | float) else [float(r) for r in ratio]
    for value in ratios:
        if not 0.0 < value <= 1.0:
            raise InvalidValueError('ratio', value, 'above 0, at most 1')
    if not ratios:
        raise InvalidValueError('ratio', ratio, 'one ratio or more')
    if channel_multiple < 1:
        raise InvalidValueError('channel_multiple', channel_multiple, '1 or more')
    full = copy.deepcopy(module)
    if isinstance(full, fx.GraphModule):
        full = plain_graph_module(full)
    full.eval()
    graph_module = trace(full, example)
    _check_kept(graph_module, keep)
    flow = analyse(graph_module, keep)
    groups = ChannelGroups(flow)
    if not any(len(group.channels) > 1 for group in groups.groups):
        reason = 'none of its channels are free: all belong to inputs, outputs or kept layers'
        raise NotScalableError('the network', type(module).__name__, reason)
    with torch.no_grad():
        before = output_tensors(full(example.clone()))
        _reorder(graph_module, flow, groups, importance_orders(graph_module, flow, groups))
        _check_same(before, output_tensors(full(example.clone())), type(module).__name__)
    channels: dict[float, dict[str, int]] = {}
    for value in {*ratios, 1.0}:
        channels[value] = {
            group.name: kept_channels(len(group.channels), value, channel_multiple)
            for group in groups.groups
        }
    prefixes = {
        value: prefix_network(graph_module, flow, groups, channels[value])
        for value in ratios
        if value != 1.0
    }
    for prefix in prefixes.values():
        check_runs(prefix, example)
    return ScaledNetworks(full, prefixes, channels)


def kept_channels(channels: int, ratio: float, multiple: int) -> int:
    """round(ratio * channels), at least 1, as a multiple where there are as many channels."""
    kept = round(ratio * channels / multiple) * multiple
    return min(channels, max(multiple, kept))


def _reorder(
    graph_module: fx.GraphModule, flow: Flow, groups: ChannelGroups, orders: Mapping[str, Positions]
) -> None:
    """Put the filters in order, in place; each axis of each weight once."""
    done: set[tuple[int, int]] = set()
    for use in flow.uses:
        tensor: Tensor = getattr(graph_module.get_submodule(use.path), use.name)
        if (tensor.data_ptr(), use.dim) not in done:
            done.add((tensor.data_ptr(), use.dim))
            sources = torch.from_numpy(groups.reordered_positions(use.labels, orders))
            tensor.copy_(tensor.index_select(use.dim, sources.to(tensor.device)))


def _check_same(before: Any, after: Any, name: str) -> None:
    for old, new in zip(before, after, strict=True):
        scale = max(1.0, float(old.abs().max())) if old.numel() else 1.0
        if not torch.allclose(old, new, rtol=0.0, atol=REORDERING_TOLERANCE * scale):
            error = float((old - new).abs().max())
            reason = f'its output changes by {error:.3g} when its filters are reordered'
            raise NotScalableError('the network', name, reason)


def _check_kept(graph_module: fx.GraphModule, keep: Collection[str]) -> None:
    known: set[str] = set()
    for node in graph_module.graph.nodes:
        parts = module_path(node).split('.')
        known.update('.'.join(parts[:end]) for end in range(1, len(parts) + 1))
        known.add(node.name)
    for name in keep:
        if name not in known:
            raise InvalidValueError('keep', name, f'modules and nodes: {", ".join(sorted(known))}')
