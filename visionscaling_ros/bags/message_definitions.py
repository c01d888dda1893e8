"""Definitions of message types as this machine has them, for a bag to embed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys import (
    Stores,
    TypesysError,
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
)

from visionscaling_ros.errors import InvalidValueError

SUFFIXES = ('.msg', '.idl')  # packages may install but one of the two


@dataclass(frozen=True)
class MessageDefinition:
    """The text of a type with all it is made of, and its hash as ROS has it (REP-2011)."""

    text: str
    hash: str


class MessageDefinitions:
    """Looks types up in the ament index, and among those of ROS 2 Jazzy where it has none.

    :param prefixes: of the ament index; AMENT_PREFIX_PATH if not given.
    """

    def __init__(self, prefixes: tuple[Path, ...] | None = None) -> None:
        paths = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
        self._prefixes = prefixes if prefixes is not None else tuple(Path(p) for p in paths if p)
        self._store = get_typestore(Stores.EMPTY)
        self._shipped = get_typestore(Stores.ROS2_JAZZY)

    def find(self, message_type: str) -> MessageDefinition:
        """The definition of a type such as ``sensor_msgs/msg/Image``.

        Raises InvalidValueError when it, or what it is made of, is not known here.
        """
        self._learn(message_type)
        text, _ = self._store.generate_msgdef(message_type, ros_version=2)
        return MessageDefinition(text, self._store.hash_rihs01(message_type))

    def _learn(self, message_type: str) -> None:
        if message_type in self._store.fielddefs:
            return
        types = self._definition(message_type)
        for _, fields in types.values():
            for _, description in fields:
                for name in _names(description):
                    if name not in types:
                        self._learn(name)
        self._store.register(types)

    def _definition(self, message_type: str) -> dict[str, Any]:
        package, _, name = message_type.replace('/msg/', '/').partition('/')
        for prefix in self._prefixes:
            for suffix in SUFFIXES:
                path = prefix / 'share' / package / 'msg' / f'{name}{suffix}'
                try:
                    text = path.read_text(encoding='utf-8')
                    if suffix == '.msg':
                        return get_types_from_msg(text, message_type)
                    return get_types_from_idl(text)
                except OSError:
                    continue
                except (TypesysError, ValueError) as error:
                    raise InvalidValueError(
                        'message type', message_type, f'one that {path} defines ({error})'
                    ) from error
        if message_type in self._shipped.fielddefs:
            return {message_type: self._shipped.fielddefs[message_type]}
        raise InvalidValueError(
            'message type', message_type, 'one whose package is installed and sourced'
        )


def _names(description: Any) -> Iterator[str]:
    """Types of messages in the description of a field."""
    kind, value = description
    if kind is Nodetype.NAME:
        yield value
    elif kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        yield from _names(value[0])
