"""Packages that are only needed for some models."""

from __future__ import annotations

import importlib
import importlib.util
import os
from types import ModuleType

from visionscaling_ros.errors import ModelError

EXTRAS = {'onnxruntime': 'onnx', 'openvino': 'openvino', 'onnx': 'onnx', 'onnxscript': 'onnx'}
# From 1.29 on it reports models and machines to its makers unless this is set before its import:
# github.com/microsoft/onnxruntime/pull/27379.
ONNXRUNTIME_SAYS_NOTHING = 'ORT_DISABLE_TELEMETRY'


def is_installed(module: str) -> bool:
    """Whether an optional package is there."""
    return importlib.util.find_spec(module) is not None


def import_extra(module: str) -> ModuleType:
    """An optional package; raises ModelError saying how to install it."""
    os.environ.setdefault(ONNXRUNTIME_SAYS_NOTHING, '1')
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ModelError(
            f'{module} is not installed (pip install visionscaling_ros[{EXTRAS[module]}])'
        ) from error
