"""The file an elastic network lives in: safetensors with its shape, widths and classes inside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from visionscaling_ros.errors import ModelError
from visionscaling_ros.vision.elastic_network import ElasticNetwork
from visionscaling_ros.vision.network import DetectionNetwork
from visionscaling_ros.vision.network_shape import ElasticShape
from visionscaling_ros.whole_file import whole_file

KEY = 'vsdet_1'  # of the metadata: one only, as their order in a file is left to chance
SHIPPED_WEIGHTS = Path(__file__).parent / 'weights' / 'vsdet.safetensors'


def save_network(network: ElasticNetwork, path: Path) -> None:
    """Write the network in half precision; the file is whole or not there."""
    state: Mapping[str, Tensor] = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in network.state_dict().items()
    }
    with whole_file(path) as partial:
        safetensors.torch.save_file(dict(state), str(partial), {KEY: network.shape.to_json()})


def read_shape(path: Path) -> ElasticShape:
    """Shape, widths and classes of the network in a file.

    Raises ModelError naming the file and what is wrong with it.
    """
    try:
        with safetensors.safe_open(str(path), 'pt') as file:
            metadata: Mapping[str, str] = file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f'{path}: no whole safetensors file ({error})') from error
    if KEY not in metadata:
        raise ModelError(
            f'{path}: metadata {sorted(metadata)} lack {KEY!r}; allowed: a file as '
            '`visionscaling train` writes it'
        )
    try:
        return ElasticShape.from_json(metadata[KEY])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f'{path}: {KEY}: shape, ratios or class_names: {error!r}') from error


def load_elastic(path: Path) -> ElasticNetwork:
    """The network of all widths, in single precision.

    Raises ModelError naming the file and the tensor that is missing, strange or not finite.
    """
    network = ElasticNetwork(read_shape(path))
    try:
        state = safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ModelError(f'{path}: no whole safetensors file ({error})') from error
    own = network.state_dict()
    for name in sorted(own.keys() | state.keys()):
        if name not in state:
            raise ModelError(f'{path}: tensor {name} is missing')
        if name not in own:
            raise ModelError(f'{path}: tensor {name} does not belong to a network of its shape')
        if state[name].shape != own[name].shape:
            raise ModelError(
                f'{path}: tensor {name} is {tuple(state[name].shape)}; its shape asks for '
                f'{tuple(own[name].shape)}'
            )
        if not bool(torch.isfinite(state[name]).all()):
            raise ModelError(f'{path}: tensor {name} has values that are not finite')
    network.load_state_dict(state)
    return network


def load_network(path: Path, width: float | None = None) -> DetectionNetwork:
    """One width of the network in a file, dense, norms folded, ready to run; None: the full one.

    Raises ModelError for a bad file, InvalidValueError for a width that was not trained.
    """
    network = load_elastic(path)
    return network.dense(network.shape.index_of(width)).fuse()
