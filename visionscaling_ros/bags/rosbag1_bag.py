"""A bag of ROS 1, as it is read: its messages become those of ROS 2."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from rosbags.convert.converter import LATCH, STATIC_MSGTYPE_RENAMES, is_same_wireformat
from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag1,
    MessageDefinition,
    MessageDefinitionFormat,
)
from rosbags.rosbag1 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from visionscaling_ros.bags.message_types import typestore
from visionscaling_ros.bags.skipped import Skipped
from visionscaling_ros.bags.stored import DAMAGED, NO_DEFINITION, BagMessage, BagTopic
from visionscaling_ros.errors import InvalidValueError

NO_SUCH_TYPE = 'not a type of ROS 2, or another one there'


class Rosbag1Bag:
    """A .bag file; messages of types that ROS 2 does not have, or has otherwise, are passed over.

    :raises InvalidValueError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = Reader(path)
        try:
            self._reader.open()
        except Exception as error:  # asserts and struct errors of a damaged one too
            allowed = f'a bag of ROS 1 ({error or type(error).__name__})'
            raise InvalidValueError('bag', str(path), allowed) from error
        there = _types_of(self._reader.connections)
        here = get_typestore(Stores.EMPTY)
        here.register({**there.fielddefs, **typestore().fielddefs})
        self._here = here
        names = {c.msgtype for c in self._reader.connections}
        self._known = {name for name in names if _is_same(there, here, name)}
        self.topics = tuple(self._topic(connection) for connection in self._reader.connections)
        empty = not any(topic.count for topic in self.topics)
        self.start_ns = 0 if empty else self._reader.start_time
        self.end_ns = 0 if empty else self._reader.end_time

    def close(self) -> None:
        """Give the file back."""
        self._reader.close()

    def messages(
        self,
        topics: Collection[str] | None,
        start_ns: int | None,
        stop_ns: int | None,
        skipped: Skipped,
    ) -> Iterator[BagMessage]:
        """As ``Storage.messages``."""
        wanted = [c for c in self._reader.connections if topics is None or c.topic in topics]
        if not wanted:
            return
        try:
            for connection, log_ns, data in self._reader.messages(wanted, start_ns, stop_ns):
                topic, name = connection.topic, connection.msgtype
                if name not in self._known:
                    skipped.add(topic, NO_SUCH_TYPE)
                    continue
                try:
                    cdr = bytes(self._here.ros1_to_cdr(data, _name(name)))
                except Exception:  # of a message cut short
                    skipped.add(topic, DAMAGED)
                    continue
                yield BagMessage(topic, _name(name), log_ns, cdr)
        except Exception as error:  # rosbags cannot go on behind a damaged chunk
            skipped.add(self._path.name, f'{DAMAGED}: {error or type(error).__name__}')

    def _topic(self, connection: Connection) -> BagTopic:
        definition = NO_DEFINITION
        name = _name(connection.msgtype)
        if connection.msgtype in self._known:
            text, _ = self._here.generate_msgdef(name, ros_version=2)
            definition = MessageDefinition(MessageDefinitionFormat.MSG, text)
        qos = tuple(LATCH) if _latched(connection) else ()
        return BagTopic(connection.topic, name, connection.msgcount, qos, definition)


def _name(name: str) -> str:
    """A type's name in ROS 2."""
    return STATIC_MSGTYPE_RENAMES.get(name, name)


def _latched(connection: Connection) -> bool:
    extension = connection.ext
    return isinstance(extension, ConnectionExtRosbag1) and bool(extension.latching)


def _is_same(there: Typestore, here: Typestore, name: str) -> bool:
    """Whether a type has the same fields in the bag as it has in ROS 2."""
    try:
        return is_same_wireformat(there, here, name, _name(name))
    except KeyError:  # one of them does not know it
        return False


def _types_of(connections: Collection[Connection]) -> Typestore:
    store = get_typestore(Stores.EMPTY)
    for connection in connections:
        try:
            types = get_types_from_msg(connection.msgdef.data, connection.msgtype)
            store.register(types)
        except Exception:  # of a definition that is none: messages of it are passed over
            continue
    return store
