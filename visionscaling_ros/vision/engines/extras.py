"""Packages that are only needed for some models."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from visionscaling_ros.errors import ModelError

EXTRAS = {'onnxruntime': 'onnx', 'openvino': 'openvino', 'onnx': 'onnx', 'onnxscript': 'onnx'}


def is_installed(module: str) -> bool:
    """Whether an optional package is there."""
    return importlib.util.find_spec(module) is not None


def import_extra(module: str) -> ModuleType:
    """An optional package; raises ModelError saying how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelError(
            f'{module} is not installed (pip install visionscaling_ros[{EXTRAS[module]}])'
        ) from error
