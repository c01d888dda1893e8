"""What the helper and its clients say to each other: a JSON object a line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VERSION = 1
SOCKET_PATH = Path('/run/visionscaling-clockd/socket')
MAX_REQUEST_BYTES = 4096  # with its newline
MAX_REPLY_BYTES = 65536
MAX_TEXT = 512  # characters of a name

# fields of each request beside its op
FIELDS: Mapping[str, Mapping[str, type]] = {
    'hello': {},
    'devices': {},
    'keep_alive': {},
    'set': {'backend': str, 'device': str, 'frequency_hz': float},
    'release': {'backend': str, 'device': str},
}


class ProtocolError(Exception):
    """A message that is none; says why."""


@dataclass(frozen=True)
class Request:
    """One request of a client, every field of the right type.

    Names are to be looked up among those the helper found itself, never used as they are.
    """

    op: str
    backend: str = ''
    device: str = ''
    frequency_hz: float = math.nan


def parse_request(line: bytes) -> Request:
    """The request on a line; raises ProtocolError for anything else, whatever it is."""
    message = parse_message(line, MAX_REQUEST_BYTES)
    op = message.pop('op', None)
    if not isinstance(op, str) or op not in FIELDS:
        raise ProtocolError(f'op must be one of {", ".join(FIELDS)}')
    fields = FIELDS[op]
    if message.keys() != fields.keys():
        raise ProtocolError(f'{op} takes {", ".join(fields) or "no fields"}')
    for name, kind in fields.items():
        if type(message[name]) is not kind:
            raise ProtocolError(f'{name} must be a {"text" if kind is str else "number"}')
        if kind is str and len(message[name]) > MAX_TEXT:
            raise ProtocolError(f'{name} is longer than {MAX_TEXT} characters')
    return Request(op, **message)


def parse_message(line: bytes, limit_bytes: int) -> dict[str, Any]:
    """The JSON object on a line, all of its numbers float; raises ProtocolError."""
    if len(line) >= limit_bytes:
        raise ProtocolError(f'longer than {limit_bytes} bytes')
    try:
        message = json.loads(
            line.decode('utf-8'),
            parse_int=float,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
    except RecursionError:
        raise ProtocolError('nested too deeply') from None
    except ValueError:
        raise ProtocolError('not a JSON object in UTF-8') from None
    if not isinstance(message, dict):
        raise ProtocolError('not a JSON object')
    return message


def encode(message: Mapping[str, object]) -> bytes:
    """A message as its line."""
    return json.dumps(message, allow_nan=False, separators=(',', ':')).encode() + b'\n'


def _refuse_constant(name: str) -> float:
    raise ValueError(name)  # NaN and the infinities are Python's own, not JSON's


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    message = dict(pairs)
    if len(message) != len(pairs):
        raise ValueError('a field is there twice')
    return message
