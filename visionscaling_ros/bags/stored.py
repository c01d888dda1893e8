"""What a bag holds, whatever its format."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat, Qos

from visionscaling_ros.bags.skipped import Skipped

NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, '')
DAMAGED = 'damaged'


@dataclass(frozen=True)
class BagTopic:
    """A topic of a bag: its type, such as ``sensor_msgs/msg/Image``, and its messages.

    :param count: number of messages, as far as the bag tells.
    :param qos: what its publishers offered; empty where the bag does not tell.
    :param definition: text of its type; ``NO_DEFINITION`` where the bag has none.
    :param encoding: of its messages; ``cdr`` of any that ROS 2 can publish.
    """

    name: str
    message_type: str
    count: int
    qos: tuple[Qos, ...] = ()
    definition: MessageDefinition = NO_DEFINITION
    encoding: str = 'cdr'


@dataclass(frozen=True)
class BagMessage:
    """A message as ROS 2 serialises it (CDR); ``log_ns``: when it was recorded [ns]."""

    topic: str
    message_type: str
    log_ns: int
    data: bytes


class Storage(Protocol):
    """A file of a bag that is open."""

    topics: tuple[BagTopic, ...]
    start_ns: int
    end_ns: int

    def messages(
        self,
        topics: Collection[str] | None,
        start_ns: int | None,
        stop_ns: int | None,
        skipped: Skipped,
    ) -> Iterator[BagMessage]:
        """Messages by the time of their recording; what cannot be read goes to ``skipped``."""

    def close(self) -> None:
        """Give the file back."""
