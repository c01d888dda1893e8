"""Reads the records of an MCAP file: https://mcap.dev/spec.

The readers of ``rosbags`` and ``mcap`` give a file up at its first bad record, and ``rosbags``
takes only files of profile ``ros2``; here each chunk stands for itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag2.metadata import parse_qos

from visionscaling_ros.bags.stored import NO_DEFINITION, BagTopic

RECORD_HEAD = struct.Struct('<BQ')  # opcode, length
MESSAGE_FIELDS = struct.Struct('<HIQQ')  # channel, sequence, log time, publish time
CHUNK_FIELDS = struct.Struct('<QQQI')  # first and last log time, uncompressed size, CRC-32
MAX_MESSAGE_BYTES = 2**30
ENCODINGS = {
    'ros2msg': MessageDefinitionFormat.MSG,
    'ros2idl': MessageDefinitionFormat.IDL,
    'omgidl': MessageDefinitionFormat.IDL,
}


class DamagedError(ValueError):
    """Bytes that are not what they should be."""


class Readable(Protocol):
    """Anything to read bytes from."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; fewer only at the end."""


class Schema(NamedTuple):
    """A message type."""

    name: str
    definition: MessageDefinition


class Message(NamedTuple):
    """A message and the number of its channel."""

    channel: int
    log_ns: int
    data: bytes


@dataclass
class Fields:
    """A cursor over the content of a record; raises DamagedError at its end."""

    content: bytes
    at: int = 0

    def number(self, size: int) -> int:
        """An unsigned integer of ``size`` bytes."""
        return int.from_bytes(self.taken(size), 'little')

    def blob(self) -> bytes:
        """Bytes after their length."""
        return self.taken(self.number(4))

    def text(self) -> str:
        """A string after its length."""
        return self.blob().decode()

    def taken(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        part = self.content[self.at : self.at + size]
        if len(part) != size:
            raise DamagedError('record too short')
        self.at += size
        return part

    def pairs(self, key_size: int) -> list[tuple[int, int]]:
        """A list of (number, 8-byte number) after its length."""
        part = Fields(self.blob())
        found = []
        while part.at < len(part.content):
            found.append((part.number(key_size), part.number(8)))
        return found


def read_exactly(stream: Readable, size: int) -> bytes:
    """``size`` bytes; raises DamagedError where there are fewer."""
    data = stream.read(size)
    if len(data) != size:
        raise DamagedError('cut off')
    return data


def read_head(file: BinaryIO, file_size: int) -> tuple[int, int]:
    """Opcode of the record here and where its content ends; raises DamagedError."""
    opcode, length = RECORD_HEAD.unpack(read_exactly(file, RECORD_HEAD.size))
    end = file.tell() + length
    if end > file_size:
        raise DamagedError('cut off')
    return opcode, end


def read_schema(content: bytes) -> tuple[int, Schema]:
    """Number and content of a Schema record."""
    fields = Fields(content)
    number, name, encoding = fields.number(2), fields.text(), fields.text()
    kind = ENCODINGS.get(encoding)
    text = fields.blob()
    return number, Schema(name, MessageDefinition(kind, text.decode()) if kind else NO_DEFINITION)


def read_channel(content: bytes, schemas: dict[int, Schema]) -> tuple[int, BagTopic]:
    """Number of a Channel record, and its topic with a count of 0."""
    fields = Fields(content)
    number, schema_number = fields.number(2), fields.number(2)
    topic, encoding = fields.text(), fields.text()
    metadata = Fields(fields.blob())
    values: dict[str, str] = {}
    while metadata.at < len(metadata.content):
        key = metadata.text()
        values[key] = metadata.text()
    schema = schemas.get(schema_number, Schema('', NO_DEFINITION))
    try:
        qos = tuple(parse_qos(values.get('offered_qos_profiles', '')))
    except Exception:  # whatever is written there, the messages can be read
        qos = ()
    return number, BagTopic(topic, schema.name, 0, qos, schema.definition, encoding)


def chunk_records(stream: Readable) -> Iterator[tuple[int, bytes]]:
    """Opcode and content of each record in what a chunk holds; raises DamagedError."""
    while head := stream.read(RECORD_HEAD.size):
        if len(head) < RECORD_HEAD.size:
            raise DamagedError('cut off')
        opcode, length = RECORD_HEAD.unpack(head)
        if length > MAX_MESSAGE_BYTES:
            raise DamagedError(f'a record of {length} B')
        yield opcode, read_exactly(stream, length)


def read_message(content: bytes) -> Message:
    """A Message record."""
    if len(content) < MESSAGE_FIELDS.size:
        raise DamagedError('message too short')
    channel, _, log_ns, _ = MESSAGE_FIELDS.unpack_from(content)
    return Message(channel, log_ns, content[MESSAGE_FIELDS.size :])
