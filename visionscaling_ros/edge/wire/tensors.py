"""Tensors and parameters in messages of the Open Inference Protocol: read distrustfully.

No memory is reserved by what a message claims: lengths are compared first.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from visionscaling_ros.errors import EdgeError

_DTYPES: dict[str, tuple[np.dtype[Any], str]] = {
    'FP32': (np.dtype('<f4'), 'fp32_contents'),
    'INT64': (np.dtype('<i8'), 'int64_contents'),
}
_LENGTH = struct.Struct('<I')


def add_tensor(
    tensors: Any, raw_contents: Any, name: str, datatype: str, values: npt.NDArray[Any]
) -> None:
    """Append ``values`` to a message's ``tensors`` and its raw contents."""
    tensors.add(name=name, datatype=datatype, shape=values.shape)
    raw_contents.append(values.astype(_DTYPES[datatype][0], order='C', copy=False).tobytes())


def read_tensor(
    tensors: Any, raw_contents: Any, name: str, datatype: str, shape: Sequence[int]
) -> npt.NDArray[Any]:
    """The tensor ``name``, sent raw or as typed contents; it shares the message's memory.

    :param shape: what is expected; -1: any length.
    :raises EdgeError: it is missing, or another.
    """
    names = [tensor.name for tensor in tensors]
    if name not in names:
        raise EdgeError(f'tensor {name} is missing, there are {names}')
    index = names.index(name)
    tensor = tensors[index]
    found = list(tensor.shape)
    if tensor.datatype != datatype or not _fits(found, shape):
        raise EdgeError(
            f'tensor {name} is {tensor.datatype} {found}, expected {datatype} {list(shape)}'
        )
    dtype, contents_field = _DTYPES[datatype]
    if index < len(raw_contents):
        raw = raw_contents[index]
        size_bytes = math.prod(found) * dtype.itemsize
        if len(raw) != size_bytes:
            raise EdgeError(f'tensor {name} {found} has {len(raw)} bytes, expected {size_bytes}')
        return np.frombuffer(raw, dtype).reshape(found)
    contents = getattr(tensor.contents, contents_field)
    if len(contents) != math.prod(found):
        raise EdgeError(f'tensor {name} {found} has {len(contents)} values')
    return np.array(contents, dtype).reshape(found)


def pack_string(data: bytes) -> bytes:
    """The raw contents of a BYTES tensor of one element."""
    return _LENGTH.pack(len(data)) + data


def read_string(tensor: Any, raw_contents: Any) -> bytes:
    """The one element of the only tensor, BYTES, sent raw or typed; raises EdgeError."""
    name = tensor.name
    if tensor.datatype != 'BYTES' or list(tensor.shape) not in ([1], [1, 1]):
        raise EdgeError(
            f'tensor {name} is {tensor.datatype} {list(tensor.shape)}, expected BYTES [1] or [1, 1]'
        )
    if not raw_contents:
        strings = tensor.contents.bytes_contents
        if len(strings) != 1:
            raise EdgeError(f'tensor {name} holds {len(strings)} strings, allowed: 1')
        return bytes(strings[0])
    if len(raw_contents) != 1:
        raise EdgeError(f'raw contents have {len(raw_contents)} parts, allowed: 1')
    raw: bytes = raw_contents[0]
    if len(raw) < _LENGTH.size or _LENGTH.unpack_from(raw)[0] != len(raw) - _LENGTH.size:
        raise EdgeError(f'tensor {name}: {len(raw)} bytes are not the length they begin with')
    return raw[_LENGTH.size :]


def read_parameters(message_map: Any) -> dict[str, Any]:
    """Name and value of every parameter that has one."""
    return {
        key: getattr(value, field)
        for key, value in message_map.items()
        if (field := value.WhichOneof('parameter_choice')) is not None
    }


def number(
    parameters: Mapping[str, Any], name: str, low: float, high: float, default: float | None = None
) -> float:
    """A number from ``low`` to ``high``, ``default`` where there is none; raises EdgeError."""
    if default is not None and name not in parameters:
        return default
    value = parameters.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise EdgeError(f'parameter {name} is {value!r}, allowed: a number from {low} to {high}')
    return value


def _fits(found: Sequence[int], shape: Sequence[int]) -> bool:
    return len(found) == len(shape) and all(
        length >= 0 and wanted in (-1, length) for length, wanted in zip(found, shape, strict=True)
    )
