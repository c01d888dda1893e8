"""From a network and images to narrower networks that answer like it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence

from torch import Tensor, nn

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.width_scaling.distillation import DistillationStep, distil
from visionscaling_ros.vision.width_scaling.norm_statistics import recalibrate_norms
from visionscaling_ros.vision.width_scaling.scale_width import scale_width
from visionscaling_ros.vision.width_scaling.scaled_networks import ScaledNetworks


def finetune_width(
    module: nn.Module,
    ratio: float | Sequence[float],
    batches: Sequence[Tensor],
    *,
    steps: int,
    learning_rate: float = 1e-3,
    seed: int = 0,
    keep: Collection[str] = (),
    channel_multiple: int = 1,
    report: Callable[[DistillationStep], None] | None = None,
) -> ScaledNetworks:
    """Scale a network, fit the narrow norms to ``batches`` and distil it into all widths at once.

    The weights are shared, so the full width is trained along to stay what it was.
    With ``steps`` = 0 only the norms are fitted, and the full width stays exactly as it was.
    ``module`` itself is left as it is. Arguments and errors: ``scale_width`` and ``distil``.
    """
    if not batches:
        raise InvalidValueError('batches', 'none', 'one batch or more')
    networks = scale_width(module, ratio, batches[0], keep=keep, channel_multiple=channel_multiple)
    narrow = [networks.at(width) for width in networks.ratios if width != 1.0]
    for network in narrow:
        recalibrate_norms(network, batches)
    if steps:
        distil(
            narrow, copy.deepcopy(networks.full), batches, steps=steps,
            learning_rate=learning_rate, seed=seed, held=[networks.full], report=report,
        )  # fmt: skip
    return networks
