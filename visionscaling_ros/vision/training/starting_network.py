"""Where a training starts: a new network, or one that exists, with other classes if need be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from visionscaling_ros.vision.elastic_network import ElasticNetwork
from visionscaling_ros.vision.network_shape import ElasticShape, NetworkShape
from visionscaling_ros.vision.weights_file import load_elastic

FULL_SHAPE = NetworkShape(
    widths=(24, 40, 80, 160, 192), squeezes=(20, 40, 80, 96), depths=(1, 2, 3, 2), neck_width=96
)
WIDTH_RATIOS = (0.5, 0.67, 0.83, 1.0)


def new_network(class_names: Sequence[str], seed: int) -> ElasticNetwork:
    """An untrained network of the shape that ships; the seed decides its weights."""
    torch.manual_seed(seed)
    return ElasticNetwork(ElasticShape(FULL_SHAPE, WIDTH_RATIOS, tuple(class_names)))


def trained_network(path: Path, class_names: Sequence[str], seed: int) -> ElasticNetwork:
    """The network in ``path``, answering for ``class_names``.

    A class of the same name keeps its filters, a new one starts untrained.
    Raises ModelError for a bad file.
    """
    source = load_elastic(path)
    names = source.shape.class_names
    if names == tuple(class_names):
        return source
    torch.manual_seed(seed)
    shape = ElasticShape(source.shape.full, source.shape.ratios, tuple(class_names))
    network = ElasticNetwork(shape)
    fresh = network.state_dict()
    kept = {name: tensor for name, tensor in source.state_dict().items()
            if '.class_logits.' not in name}  # fmt: skip
    network.load_state_dict({**fresh, **kept})
    pairs = [(new, names.index(name)) for new, name in enumerate(class_names) if name in names]
    for mine, theirs in zip(network.heads, source.heads, strict=True):
        for new, old in pairs:
            _copy_output(mine.class_logits, new, theirs.class_logits, old)  # type: ignore[arg-type]
    return network


@torch.no_grad()
def _copy_output(mine: nn.Conv2d, new: int, theirs: nn.Conv2d, old: int) -> None:
    assert mine.bias is not None
    assert theirs.bias is not None
    mine.weight[new] = theirs.weight[old]
    mine.bias[new] = theirs.bias[old]
