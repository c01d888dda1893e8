"""Small bags for tests: strings and images, in every format rosbags writes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from visionscaling_ros.bags.bag_reader import BagMessage, BagReader
from visionscaling_ros.bags.message_types import typestore

BEGIN_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000
STRING, IMAGE = 'std_msgs/msg/String', 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
MCAP, SQLITE3 = StoragePlugin.MCAP, StoragePlugin.SQLITE3


def cdr(text: str) -> bytes:
    """A serialised std_msgs/String."""
    return bytes(typestore().serialize_cdr(typestore().types[STRING](text), STRING))


def image(stamp_ns: int, *, side_px: int = 64, compressed: bool = False) -> Any:
    """An image message of grey noise."""
    types = typestore().types
    stamp = types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, 10**9))
    header = types['std_msgs/msg/Header'](stamp, 'camera')
    rng = np.random.default_rng(stamp_ns % 2**32)
    if compressed:
        import cv2

        pixels = rng.integers(0, 255, (side_px, side_px, 3), dtype=np.uint8)
        data = cv2.imencode('.jpg', pixels)[1].ravel()
        return types[COMPRESSED_IMAGE](header, 'bgr8; jpeg compressed bgr8', data)
    data = rng.integers(0, 255, side_px * side_px * 3, dtype=np.uint8)
    return types[IMAGE](header, side_px, side_px, 'bgr8', 0, 3 * side_px, data)


def write_bag(
    path: Path,
    *,
    storage: StoragePlugin = MCAP,
    count: int = 20,
    topics: tuple[str, ...] = ('/chatter',),
    step_ns: int = STEP_NS,
    begin_ns: int = BEGIN_NS,
    size: int = 0,
    compression: CompressionMode = CompressionMode.NONE,
) -> Path:
    """Write a folder of strings '0', '1', …, in turn on each topic, with ``size`` bytes more."""
    bag = Writer(path, version=9, storage_plugin=storage)
    if compression != CompressionMode.NONE:
        bag.set_compression(compression, CompressionFormat.ZSTD)
    with bag as writer:
        connections = [writer.add_connection(t, STRING, typestore=typestore()) for t in topics]
        for number in range(count):
            connection = connections[number % len(topics)]
            text = str(number) + ' ' * size
            writer.write(connection, begin_ns + number * step_ns, cdr(text))
    return path


def write_images(
    path: Path,
    topics: dict[str, str],
    *,
    storage: StoragePlugin = MCAP,
    count: int = 3,
    side_px: int = 64,
    rate_hz: float = 30.0,
) -> Path:
    """Write a folder of images; ``topics``: their types by name."""
    with Writer(path, version=9, storage_plugin=storage) as writer:
        for name, kind in topics.items():
            connection = writer.add_connection(name, kind, typestore=typestore())
            for number in range(count):
                stamp_ns = BEGIN_NS + round(number / rate_hz * 1e9)
                message = image(stamp_ns, side_px=side_px, compressed=kind == COMPRESSED_IMAGE)
                writer.write(connection, stamp_ns, typestore().serialize_cdr(message, kind))
    return path


def write_rosbag1(path: Path, count: int = 10) -> Path:
    """Write a .bag of ROS 1: images with their header's seq, strings, and a type of its own."""
    from rosbags.rosbag1 import Writer as Writer1

    store = get_typestore(Stores.ROS1_NOETIC)
    store.register(get_types_from_msg('float32 charge\n', 'my_robot/msg/Battery'))
    types = store.types
    with Writer1(path) as writer:
        images = writer.add_connection('/camera/image_raw', IMAGE, typestore=store)
        strings = writer.add_connection('/chatter', STRING, typestore=store)
        battery = writer.add_connection('/battery', 'my_robot/msg/Battery', typestore=store)
        log = writer.add_connection('/log', 'rosgraph_msgs/msg/Log', typestore=store)
        for number in range(count):
            stamp_ns = BEGIN_NS + number * STEP_NS
            stamp = types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, 10**9))
            header = types['std_msgs/msg/Header'](number, stamp, 'camera')
            data = np.full(12, number, np.uint8)
            message = types[IMAGE](header, 2, 2, 'bgr8', 0, 6, data)
            writer.write(images, stamp_ns, store.serialize_ros1(message, IMAGE))
            text = types[STRING](str(number))
            writer.write(strings, stamp_ns, store.serialize_ros1(text, STRING))
            charge = types['my_robot/msg/Battery'](0.5)
            writer.write(battery, stamp_ns, store.serialize_ros1(charge, 'my_robot/msg/Battery'))
        said = types['rosgraph_msgs/msg/Log'](header, 2, 'n', 'hello', 'f', 'g', 1, [])
        writer.write(log, stamp_ns, store.serialize_ros1(said, 'rosgraph_msgs/msg/Log'))
    return path


def the_file(folder: Path) -> Path:
    """The one storage file of a bag."""
    (found,) = (p for p in folder.iterdir() if p.suffix in {'.mcap', '.db3'})
    return found


def texts(path: Path, **what: Any) -> list[str]:
    """What the strings of a bag say."""
    with BagReader(path) as bag:
        return [bag.deserialize(m).data.strip() for m in bag.messages(**what)]


def messages(path: Path, **what: Any) -> list[BagMessage]:
    """All of a bag."""
    with BagReader(path) as bag:
        return list(bag.messages(**what))


class McapWriter:
    """Writes MCAP record by record, as no library would: bad order, no index, no end."""

    def __init__(self, path: Path, profile: str = 'ros2') -> None:
        self.path = path
        self.parts = [b'\x89MCAP0\r\n', record(1, text(profile) + text('test'))]

    def schema(self, name: str = STRING, definition: str = 'string data') -> None:
        """Schema number 1."""
        content = text(name) + text('ros2msg') + text(definition)
        self.parts.append(record(3, struct.pack('<H', 1) + content))

    def channel(self, topic: str = '/chatter', number: int = 1, encoding: str = 'cdr') -> None:
        """A channel of the schema."""
        content = struct.pack('<HH', number, 1) + text(topic) + text(encoding)
        self.parts.append(record(4, content + struct.pack('<I', 0)))

    def message(self, words: str, log_ns: int, number: int = 1) -> None:
        """A message outside any chunk."""
        self.parts.append(message_record(words, log_ns, number))

    def chunk(self, content: bytes, start_ns: int, end_ns: int, compression: str = '') -> None:
        """A chunk, without an index of its messages."""
        head = struct.pack('<QQQI', start_ns, end_ns, len(content), 0) + text(compression)
        packed = compressed(content, compression)
        self.parts.append(record(6, head + struct.pack('<Q', len(packed)) + packed))

    def write(self, *, closed: bool = False) -> Path:
        """Write the file; ``closed``: with an end, yet without a summary."""
        end = [record(15, bytes(4)), record(2, bytes(20)), b'\x89MCAP0\r\n'] if closed else []
        self.path.write_bytes(b''.join(self.parts + end))
        return self.path


def record(opcode: int, content: bytes) -> bytes:
    """A record of MCAP."""
    return struct.pack('<BQ', opcode, len(content)) + content


def text(words: str) -> bytes:
    """A string of MCAP."""
    return struct.pack('<I', len(words.encode())) + words.encode()


def message_record(words: str, log_ns: int, number: int = 1) -> bytes:
    """A message of a channel."""
    return record(5, struct.pack('<HIQQ', number, 0, log_ns, log_ns) + cdr(words))


def compressed(content: bytes, compression: str) -> bytes:
    """As a chunk holds it."""
    if compression == 'lz4':
        import lz4.frame

        return bytes(lz4.frame.compress(content))
    if compression == 'zstd':
        from visionscaling_ros.bags.mcap_chunk import zstd

        return bytes(zstd.compress(content))
    return content
