"""A network of the user's: a torch.export program, or what a Python function returns."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.engines.torch_files import load_exported


def is_program(source: str) -> bool:
    """Whether ``source`` names a torch.export file, which takes inputs of one shape."""
    return source.endswith('.pt2')


def load_network(source: str, weights: Path | None = None) -> nn.Module:
    """The network that ``source`` names, in eval mode.

    :param source: ``FILE.pt2``, or ``MODULE:FACTORY``: a function without arguments, looked for in
        the current folder first.
    :param weights: state dict for what FACTORY returns, .safetensors or made by torch.save.
    :raises InvalidValueError: naming what is not there or does not fit.
    :raises ModelError: naming the file that is no program.
    """
    if is_program(source):
        if weights is not None:
            raise InvalidValueError('weights', str(weights), 'only with MODULE:FACTORY')
        return load_exported(Path(source))
    network = _made(source)
    if weights is not None:
        try:
            if weights.suffix == '.safetensors':
                state = load_file(weights)
            else:
                state = torch.load(weights, map_location='cpu', weights_only=True)
            network.load_state_dict(state)
        except Exception as error:  # whatever reading a broken or strange file raises
            allowed = f'a state dict of {source} ({error})'
            raise InvalidValueError('weights', str(weights), allowed) from error
    return network.eval()


def _made(source: str) -> nn.Module:
    module_name, _, factory_name = source.partition(':')
    if not module_name or not factory_name:
        raise InvalidValueError('network', source, 'FILE.pt2 or MODULE:FACTORY')
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except (ImportError, AttributeError) as error:
        raise InvalidValueError('network', source, f'a function that exists ({error})') from error
    finally:
        sys.path.remove(folder)
    if isinstance(factory, nn.Module) or not callable(factory):
        kind = type(factory).__name__
        raise InvalidValueError('network', source, f'a function or class, not an object ({kind})')
    network = factory()
    if not isinstance(network, nn.Module):
        raise InvalidValueError(source, type(network).__name__, 'a function of an nn.Module')
    return network
