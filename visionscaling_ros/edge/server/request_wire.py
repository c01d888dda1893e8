"""Looks at the bytes of a request before they become objects.

A protobuf message of 16 MiB can be made of 8 million empty parts, which take 0.7 GB once parsed.
Requests that make sense have a few dozen fields and all their bytes in one or two of them.
"""

from __future__ import annotations

from visionscaling_ros.errors import EdgeError

MOST_FIELDS = 1024
# What may be in a request besides images and tensors: names, shapes, parameters.
MOST_OTHER_BYTES = 64 << 10

# Field numbers of ModelInferRequest, InferInputTensor and InferTensorContents.
_INPUTS, _RAW_CONTENTS, _CONTENTS = 5, 7, 5
_FP32_CONTENTS, _BYTES_CONTENTS = 6, 8
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_REQUEST, _TENSOR, _TENSOR_CONTENTS = range(3)
_NESTED = {(_REQUEST, _INPUTS): _TENSOR, (_TENSOR, _CONTENTS): _TENSOR_CONTENTS}
_BULK = {
    (_REQUEST, _RAW_CONTENTS),
    (_TENSOR_CONTENTS, _FP32_CONTENTS),
    (_TENSOR_CONTENTS, _BYTES_CONTENTS),
}


def check_wire(data: bytes) -> None:
    """Raise EdgeError for a ModelInferRequest made of too many parts, or that is none."""
    fields = other_bytes = 0
    parts = [(_REQUEST, 0, len(data))]
    while parts:
        message, at, end = parts.pop()
        while at < end:
            fields += 1
            start = at
            tag, at = _varint(data, at, end)
            number, wire_type = tag >> 3, tag & 7
            length = 0
            if wire_type == _VARINT:
                _, at = _varint(data, at, end)
            elif wire_type in (_FIXED64, _FIXED32):
                length = 8 if wire_type == _FIXED64 else 4
            elif wire_type == _LENGTH:
                length, at = _varint(data, at, end)
            else:
                raise EdgeError(f'no ModelInferRequest: wire type {wire_type} at byte {start}')
            if at + length > end:
                raise EdgeError(f'no ModelInferRequest: the field at byte {start} is cut off')
            kind = (message, number)
            if wire_type == _LENGTH and kind in _NESTED:
                parts.append((_NESTED[kind], at, at + length))
            elif kind not in _BULK:
                other_bytes += at + length - start
            at += length
            if fields > MOST_FIELDS or other_bytes > MOST_OTHER_BYTES:
                raise EdgeError(
                    f'the request has more than {MOST_FIELDS} fields or {MOST_OTHER_BYTES} bytes '
                    'beside its tensors'
                )


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise EdgeError(f'no ModelInferRequest: a number ends nowhere at byte {at}')
