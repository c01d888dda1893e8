"""How much each channel matters, from the weights alone."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from visionscaling_ros.vision.width_scaling.channel_groups import ChannelGroups, Positions
from visionscaling_ros.vision.width_scaling.flow import AxisUse, Flow, Role
from visionscaling_ros.vision.width_scaling.layer_rules import BATCH_NORMS


def importance_orders(
    graph_module: fx.GraphModule, flow: Flow, groups: ChannelGroups
) -> dict[str, Positions]:
    """For each group its channels from the most to the least important; ties keep their order.

    A channel counts as much as it carries, times what its readers make of it. What it carries is
    the factor of its batch norm (Liu et al., ICCV 2017, arXiv:1708.06519), or, where no batch norm
    follows, the L1 norm of its filter (Li et al., ICLR 2017, arXiv:1608.08710). What readers make
    of it is the L1 norm of the weights they read it with. Each norm is relative to its layer's
    mean, and the layers of a group are added up (as in DepGraph, Fang et al., CVPR 2023,
    arXiv:2301.12900). The product stays the same when a filter is scaled up and its readers down.
    What DMS (IEEE Access 2019) ranks by is not public in full; this is our reading of "filter
    importance".
    """
    sums: dict[Role, dict[int, float]] = {role: defaultdict(float) for role in Role}
    for use in flow.uses:
        if use.role is Role.SCALED:
            continue
        scores = _axis_norms(graph_module, use)
        scores = scores / max(float(scores.mean()), np.finfo(np.float64).tiny)
        for channel, score in groups.add_scores(use.labels, scores).items():
            sums[use.role][channel] += score
    orders = {}
    for group in groups.groups:
        scores = np.array(
            [
                sums[Role.MADE].get(channel, 1.0) * sums[Role.READ].get(channel, 1.0)
                for channel in group.channels
            ]
        )
        orders[group.name] = np.argsort(-scores, kind='stable')
    return orders


def _axis_norms(graph_module: fx.GraphModule, use: AxisUse) -> NDArray[np.float64]:
    """What each place on an axis of a weight carries, or makes of what it reads."""
    layer = graph_module.get_submodule(use.path)
    tensor: Tensor = getattr(layer, use.name)
    others = [dim for dim in range(tensor.ndim) if dim != use.dim]
    followers = list(use.node.users)
    if use.role is Role.MADE and len(followers) == 1 and followers[0].op == 'call_module':
        follower = graph_module.get_submodule(str(followers[0].target))
        if isinstance(follower, BATCH_NORMS) and follower.affine:
            tensor, others = follower.weight, []
    magnitudes = tensor.detach().to(torch.float64).abs()
    scores: NDArray[np.float64] = (magnitudes.sum(others) if others else magnitudes).cpu().numpy()
    return scores
