"""The tensors in whatever structure a network returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor


def output_tensors(outputs: Any) -> list[Tensor]:
    """All floating-point tensors in tuples, lists, mappings and dataclasses, in their order."""
    if isinstance(outputs, Tensor):
        return [outputs] if outputs.is_floating_point() else []
    if isinstance(outputs, Mapping):
        parts: list[Any] = list(outputs.values())
    elif isinstance(outputs, list | tuple):
        parts = list(outputs)
    elif is_dataclass(outputs) and not isinstance(outputs, type):
        parts = [getattr(outputs, field.name) for field in fields(outputs)]
    else:
        parts = []
    return [tensor for part in parts for tensor in output_tensors(part)]
