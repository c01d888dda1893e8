"""Batch-norm statistics of a narrowed network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.width_scaling.layer_rules import BATCH_NORMS


def batch_norms(network: nn.Module) -> list[Any]:
    """The batch norms of a network that have running statistics."""
    return [
        module
        for module in network.modules()
        if isinstance(module, BATCH_NORMS) and module.track_running_stats
    ]


def recalibrate_norms(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace running statistics by the averages over ``batches``.

    Narrow networks see other statistics than the full one (Yu & Huang, ICCV 2019,
    arXiv:1903.05134, section 3.3). Weights do not change; a network without batch norms stays as it
    is. Modes (train, eval) are left as they were found.

    :param batches: inputs (N, C, H, W) as the network takes them, more than one value a channel.
    :raises InvalidValueError: there is no batch.
    """
    norms = batch_norms(network)
    if not norms:
        return
    modes = [(module, module.training) for module in network.modules()]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the average of all batches instead of a moving one
        norm.train()
    count = 0
    try:
        with torch.no_grad():
            for batch in batches:
                network(batch.clone())
                count += 1
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, training in modes:
            module.training = training
    if count == 0:
        raise InvalidValueError('batches', 'none', 'one batch or more')
