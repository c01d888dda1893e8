"""Whether the types of a bag are those this machine has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.nodes.message_class import message_class

Fields = Mapping[str, str] | None


def full_name(message_type: str) -> str:
    """A type's name with the ``msg`` that bags of the first versions leave out."""
    package, _, name = message_type.partition('/')
    return message_type if '/' in name else f'{package}/msg/{name}'


def known_class(message_type: str) -> Any:
    """The message class of a type; None where it cannot be imported, or is no message's."""
    package, kind, name = (*full_name(message_type).split('/'), '', '')[:3]
    if kind != 'msg' or not (package.isidentifier() and name.isidentifier()):
        return None
    try:
        return message_class(full_name(message_type))
    except InvalidValueError:
        return None


def same_fields(message_type: str, fields_of: Callable[[str], Fields]) -> bool:
    """Whether a type and all it is made of have the same fields in the bag as here.

    :param fields_of: fields of a type in the bag.
    """
    wanted, seen = [full_name(message_type)], set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        there, found = fields_of(name), known_class(name)
        if there is None or found is None:
            return False
        here = found.get_fields_and_field_types()
        if list(here.items()) != list(there.items()):
            return False
        wanted += [part for part in map(_nested, here.values()) if part]
    return True


def _nested(field_type: str) -> str:
    """The message type in a field's type; '' for a field of numbers or text."""
    item = field_type.removeprefix('sequence<').partition('[')[0].partition(',')[0].rstrip('>')
    return full_name(item) if '/' in item else ''
