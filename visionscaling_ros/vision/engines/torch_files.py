"""Torch modules from files."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from visionscaling_ros.errors import ModelError


def load_torchscript(path: Path) -> nn.Module:
    """A TorchScript module. Raises ModelError naming the file."""
    load: Callable[..., nn.Module] = torch.jit.load
    module: nn.Module = _load(path, 'TorchScript', lambda: load(path, map_location='cpu'))
    return module.eval()


def load_exported(path: Path) -> nn.Module:
    """The module of a ``torch.export`` program (.pt2). Raises ModelError naming the file."""
    program = _load(path, 'torch.export', lambda: torch.export.load(path))
    module: nn.Module = program.module()
    return module


def _load(path: Path, kind: str, load: Callable[[], Any]) -> Any:
    try:
        with warnings.catch_warnings():
            # torch would rather be given another format; this one is still what many have
            warnings.simplefilter('ignore', DeprecationWarning)
            return load()
    except Exception as error:  # whatever unpickling and unzipping a broken file raises
        reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f'{path}: file is no whole {kind} model ({reason})') from error
