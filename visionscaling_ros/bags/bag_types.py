"""Message types as a bag defines them; those it does not define as this package knows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat, Nodetype
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from visionscaling_ros.bags.message_types import typestore
from visionscaling_ros.bags.stored import BagTopic
from visionscaling_ros.errors import InvalidValueError

IDL_SEPARATOR = '=' * 80 + '\n'


class BagTypes:
    """Types of the topics of a bag; read when first asked for.

    A definition that cannot be read leaves its messages without fields; they stay as bytes.
    """

    def __init__(self, topics: Iterable[BagTopic]) -> None:
        self._definitions = {(t.message_type, t.definition) for t in topics}

    def deserialize(self, message_type: str, data: bytes) -> Any:
        """The fields of a message; raises InvalidValueError where bytes and type do not fit."""
        try:
            return self._store.deserialize_cdr(data, message_type)
        except Exception as error:  # whatever the generated code stumbles over
            what = error if str(error) else type(error).__name__
            allowed = f'a whole {message_type} ({what})'
            raise InvalidValueError('message', f'{len(data)} B', allowed) from error

    def fields(self, message_type: str) -> Mapping[str, str] | None:
        """Types of the fields by name, as rclpy writes them; None for a type it does not know."""
        found = self._store.fielddefs.get(message_type)
        if found is None:
            return None
        return {name: _type_text(what) for name, what in found[1] if name != FILLER}

    @cached_property
    def _store(self) -> Typestore:
        known = typestore().fielddefs
        types = dict(known)
        for name, definition in sorted(self._definitions, key=lambda item: item[0]):
            try:
                types.update(_parsed(name, definition))
            except Exception:  # of a definition that is none
                continue
        if types == known:
            return typestore()
        store = get_typestore(Stores.EMPTY)
        try:
            store.register(types)
        except Exception:  # names that Python cannot take
            return typestore()
        return store


def _parsed(name: str, definition: MessageDefinition) -> dict[str, Any]:
    if definition.format == MessageDefinitionFormat.MSG:
        return dict(get_types_from_msg(definition.data, name))
    if definition.format == MessageDefinitionFormat.IDL:
        found: dict[str, Any] = {}
        for part in definition.data.split(IDL_SEPARATOR):
            text = part.split('\n', 1)[1] if part.startswith('IDL: ') else part
            if text.strip():
                found.update(get_types_from_idl(text))
        return found
    return {}


ROS_NAMES = {
    'float32': 'float', 'float64': 'double', 'bool': 'boolean', 'byte': 'octet', 'char': 'uint8',
}  # fmt: skip
FILLER = 'structure_needs_at_least_one_member'  # in place of no field at all


def _type_text(description: Any) -> str:
    kind, content = description
    if kind == Nodetype.BASE:
        name, bound = content
        return f'{name}<{bound}>' if bound else ROS_NAMES.get(name, name)
    if kind == Nodetype.NAME:
        return str(content).replace('/msg/', '/')
    item, size = content
    if kind == Nodetype.ARRAY:
        return f'{_type_text(item)}[{size}]'
    return f'sequence<{_type_text(item)}{f", {size}" if size else ""}>'
