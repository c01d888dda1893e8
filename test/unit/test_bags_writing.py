"""Bags are whole and readable whatever ends them, and open without this package."""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.storage_mcap import McapReader

from visionscaling_ros.bags.bag_writer import RESERVE, BagWriter
from visionscaling_ros.bags.mcap_storage import McapFile
from visionscaling_ros.bags.message_definitions import MessageDefinitions
from visionscaling_ros.errors import InvalidValueError, VisionScalingError
from visionscaling_ros.installed import PACKAGE
from visionscaling_ros.trials.faults.small_disk import SmallDisk

STORAGES = ('mcap', 'sqlite3')
STRING = 'std_msgs/msg/String'
KIB = 1024


@pytest.fixture(scope='module')
def definitions() -> MessageDefinitions:
    return MessageDefinitions()


def string_cdr(text: str) -> bytes:
    encoded = text.encode() + b'\0'
    return b'\0\1\0\0' + len(encoded).to_bytes(4, 'little') + encoded


def read_all(path: Path) -> list[tuple[str, int, bytes]]:
    """Everything a bag has, by a reader that knows no types but those in it."""
    with Reader(path) as reader:
        return [(c.topic, log_ns, bytes(data)) for c, log_ns, data in reader.messages()]


def installed_descriptions() -> dict[str, str]:
    """Type hashes that rosidl computed, by type, of what is installed."""
    hashes: dict[str, str] = {}
    for prefix in os.environ['AMENT_PREFIX_PATH'].split(os.pathsep):
        for package in ('sensor_msgs', 'diagnostic_msgs', 'rcl_interfaces', PACKAGE):
            for path in (Path(prefix) / 'share' / package / 'msg').glob('*.json'):
                for entry in json.loads(path.read_text())['type_hashes']:
                    hashes[entry['type_name']] = entry['hash_string']
    return hashes


def test_definitions_hash_as_rosidl_hashes_them(definitions: MessageDefinitions) -> None:
    expected = installed_descriptions()
    assert {f'{PACKAGE}/msg/SlotState', 'sensor_msgs/msg/Image'} <= set(expected)
    for message_type, type_hash in expected.items():
        assert definitions.find(message_type).hash == type_hash, message_type


def test_a_type_that_is_not_installed_comes_from_jazzy_and_an_unknown_one_is_named() -> None:
    nothing_installed = MessageDefinitions(prefixes=())
    assert 'geometry_msgs/TransformStamped' in nothing_installed.find('tf2_msgs/msg/TFMessage').text
    with pytest.raises(InvalidValueError, match='acme_msgs/msg/Anvil'):
        nothing_installed.find('acme_msgs/msg/Anvil')


@pytest.mark.parametrize('storage', STORAGES)
@pytest.mark.parametrize('compress', [False, True])
def test_every_message_of_this_package_comes_back_with_the_definitions_in_the_bag(
    tmp_path: Path, definitions: MessageDefinitions, storage: str, compress: bool
) -> None:
    rclpy_serialization = pytest.importorskip('rclpy.serialization')
    from sensor_msgs.msg import CompressedImage, Image

    from visionscaling_ros import msg

    own = [getattr(msg, name) for name in dir(msg) if name[0].isupper()]
    kinds = [*own, CompressedImage, Image]
    sent: dict[str, tuple[int, bytes]] = {}
    with BagWriter(tmp_path / 'bag', storage, compress=compress) as bag:
        for number, kind in enumerate(kinds, start=1):
            message = filled(kind())
            package = kind.__module__.split('.')[0]
            message_type = f'{package}/msg/{kind.__name__}'
            data = rclpy_serialization.serialize_message(message)
            topic = bag.add_topic(f'/{kind.__name__}', message_type, definitions.find(message_type))
            bag.write(topic, number, data)
            sent[f'/{kind.__name__}'] = number, data
    with AnyReader([tmp_path / 'bag']) as reader:
        found = list(reader.messages())
        assert {c.topic: (ns, bytes(d)) for c, ns, d in found} == sent
        for connection, _, data in found:
            again = reader.deserialize(data, connection.msgtype)
            message = rclpy_serialization.deserialize_message(
                bytes(data), next(k for k in kinds if k.__name__ == connection.topic[1:])
            )
            assert_same(again, message)


def filled(message: Any) -> Any:
    """Numbers other than 0 in the plain fields."""
    for number, (name, kind) in enumerate(message.get_fields_and_field_types().items(), start=1):
        if kind.startswith(('uint', 'int')) and kind[-1].isdigit():
            setattr(message, name, number % 100)
        elif kind in ('double', 'float'):
            setattr(message, name, 0.5 * number)
        elif kind == 'string':
            setattr(message, name, f'é{number}')
    return message


def assert_same(read: Any, message: Any) -> None:
    for name, kind in message.get_fields_and_field_types().items():
        value, expected = getattr(read, name), getattr(message, name)
        if '/' in kind and not kind.startswith('sequence'):
            assert_same(value, expected)
        elif '/' in kind or hasattr(expected, '__len__'):
            assert len(value) == len(expected), name
        else:
            assert value == expected, name


@pytest.mark.parametrize('storage', STORAGES)
def test_offered_qos_is_kept_as_humble_reads_it(
    tmp_path: Path, definitions: MessageDefinitions, storage: str
) -> None:
    forever = QosTime(9223372036, 854775807)
    qos = Qos(
        QosHistory.KEEP_LAST,
        1,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL,
        forever,
        forever,
        QosLiveliness.AUTOMATIC,
        forever,
        False,
    )
    with BagWriter(tmp_path / 'bag', storage) as bag:
        bag.add_topic('/latched', STRING, definitions.find(STRING), [qos])
    with Reader(tmp_path / 'bag') as reader:
        (connection,) = reader.connections
        assert connection.ext.offered_qos_profiles == [qos]  # type: ignore[union-attr]
    metadata = yaml.safe_load((tmp_path / 'bag' / 'metadata.yaml').read_text())
    information = metadata['rosbag2_bagfile_information']
    assert information['version'] == 8
    (topic,) = information['topics_with_message_count']
    assert isinstance(topic['topic_metadata']['offered_qos_profiles'], str)


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    there = tmp_path / 'bag'
    there.mkdir()
    (there / 'precious').write_text('mine')
    with pytest.raises(InvalidValueError, match='does not exist yet'):
        BagWriter(there)
    assert [path.name for path in there.iterdir()] == ['precious']


def test_a_storage_there_is_not_and_a_folder_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match='sqlite3'):
        BagWriter(tmp_path / 'bag', 'leveldb')
    (tmp_path / 'file').touch()
    with pytest.raises(InvalidValueError, match='a folder to write'):
        BagWriter(tmp_path / 'file' / 'bag')


@pytest.mark.parametrize('storage', STORAGES)
def test_an_exception_leaves_a_whole_bag(
    tmp_path: Path, definitions: MessageDefinitions, storage: str
) -> None:
    def work() -> None:
        with BagWriter(tmp_path / 'bag', storage) as bag:
            topic = bag.add_topic('/words', STRING, definitions.find(STRING))
            bag.write(topic, 7, string_cdr('before'))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert read_all(tmp_path / 'bag') == [('/words', 7, string_cdr('before'))]
    assert not (tmp_path / 'bag' / RESERVE).exists()


@pytest.mark.parametrize('storage', STORAGES)
def test_a_bag_without_messages_is_a_bag(tmp_path: Path, storage: str) -> None:
    BagWriter(tmp_path / 'bag', storage).close()
    assert read_all(tmp_path / 'bag') == []


KILLED = """
import os, signal, sys
from pathlib import Path
from visionscaling_ros.bags.bag_writer import BagWriter
from visionscaling_ros.bags.message_definitions import MessageDefinitions
bag = BagWriter(Path(sys.argv[1]), sys.argv[2])
kind = 'std_msgs/msg/String'
topic = bag.add_topic('/words', kind, MessageDefinitions().find(kind))
for number in range(10):
    bag.write(topic, number, bytes(100_000))
bag.flush()
bag.write(topic, 10, bytes(100_000))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize('storage', STORAGES)
def test_what_was_flushed_survives_kill_9(tmp_path: Path, storage: str) -> None:
    from visionscaling_ros.bags.bag_reader import BagReader

    command = [sys.executable, '-c', KILLED, str(tmp_path / 'bag'), storage]
    ended = subprocess.run(command, cwd=tmp_path, check=False)
    assert ended.returncode == -signal.SIGKILL
    with BagReader(tmp_path / 'bag') as reader:
        assert [message.log_ns for message in reader.messages()] == list(range(10))


def write_until_full(bag: BagWriter, definitions: MessageDefinitions) -> int:
    """Messages written before it said that it is full."""
    topic = bag.add_topic('/words', STRING, definitions.find(STRING))
    numbers = itertools.count()

    def write_on() -> None:
        for number in numbers:
            bag.write(topic, number, bytes([number % 256]) * 10 * KIB)

    with pytest.raises(VisionScalingError, match='kept'):
        write_on()
    return next(numbers) - 1


@pytest.mark.parametrize('storage', STORAGES)
def test_a_full_disk_is_told_and_what_was_written_stays_readable(
    definitions: MessageDefinitions, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('visionscaling_ros.trials.faults.small_disk.SIZE_KIB', 4096)
    monkeypatch.setattr('visionscaling_ros.bags.bag_writer.FLUSH_MESSAGES', 30)
    with SmallDisk() as disk:
        if not disk.can_be_full:
            pytest.skip('only root may mount a small disk')
        bag = BagWriter(disk.path / 'bag', storage)
        written = write_until_full(bag, definitions)
        bag.close()
        found = read_all(disk.path / 'bag')
        with Reader(disk.path / 'bag') as reader:
            assert reader.message_count == len(found)
    assert written - 60 <= len(found) <= written
    assert [log_ns for _, log_ns, _ in found] == list(range(len(found)))
    assert all(data == bytes([ns % 256]) * 10 * KIB for _, ns, data in found)


@pytest.mark.parametrize('storage', STORAGES)
def test_a_file_that_may_not_grow_is_told_and_stays_readable(
    tmp_path: Path,
    definitions: MessageDefinitions,
    storage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a FAT file system has it at 4 GiB."""
    monkeypatch.setattr('visionscaling_ros.bags.bag_writer.FLUSH_MESSAGES', 30)
    bag = BagWriter(tmp_path / 'bag', storage)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048 * KIB, before[1]))
    try:
        written = write_until_full(bag, definitions)
        bag.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    found = read_all(tmp_path / 'bag')
    assert written - 60 <= len(found) <= written
    with Reader(tmp_path / 'bag') as reader:
        assert reader.message_count == len(found)


def test_a_bag_that_is_full_at_its_very_end_says_so(
    definitions: MessageDefinitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('visionscaling_ros.trials.faults.small_disk.SIZE_KIB', 2048)
    with SmallDisk() as disk:
        if not disk.can_be_full:
            pytest.skip('only root may mount a small disk')
        bag = BagWriter(disk.path / 'bag')
        topic = bag.add_topic('/words', STRING, definitions.find(STRING))
        bag.write(topic, 1, string_cdr('first'))
        bag.flush()
        bag.write(topic, 2, bytes(3000 * KIB))
        with pytest.raises(VisionScalingError, match='cannot grow'):
            bag.close()
        assert read_all(disk.path / 'bag') == [('/words', 1, string_cdr('first'))]


def test_sqlite_bags_have_the_tables_of_rosbag2(
    tmp_path: Path, definitions: MessageDefinitions
) -> None:
    with BagWriter(tmp_path / 'bag', 'sqlite3') as bag:
        bag.add_topic('/words', STRING, definitions.find(STRING))
    connection = sqlite3.connect(tmp_path / 'bag' / 'bag.db3')
    tables = {name for (name,) in connection.execute('SELECT name FROM sqlite_master')}
    connection.close()
    assert {'schema', 'metadata', 'topics', 'message_definitions', 'messages'} <= tables
    assert [path.name for path in (tmp_path / 'bag').glob('*journal')] == []


messages_of_a_chunk = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 2**62), st.binary(max_size=300)), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(st.lists(messages_of_a_chunk, max_size=5), st.booleans())
def test_an_mcap_file_gives_back_what_it_was_given(
    chunks: list[list[tuple[int, int, bytes]]], compressed: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'a.mcap'
        file = McapFile(path, _zstd if compressed else None, 'zstd' if compressed else '')
        file.add_schema(STRING, 'ros2msg', 'string data\n')
        for number in (1, 2, 3):
            file.add_channel(number, f'/{number}', STRING, 'cdr', {'a': 'b'})
        for chunk in chunks:
            for channel, log_ns, data in chunk:
                file.write(channel, log_ns, data)
            file.flush()
        file.finish('{}')
        reader = McapReader(path)
        reader.open()
        found = [(c.id, ns, bytes(data)) for c, ns, data in reader.messages(reader.connections)]
        counts = {c.id: c.msgcount for c in reader.connections}
        reader.close()
    given_ = [message for chunk in chunks for message in chunk]
    assert sorted(found) == sorted(given_)
    assert [ns for _, ns, _ in found] == sorted(ns for _, ns, _ in given_)
    assert counts == {n: sum(channel == n for channel, _, _ in given_) for n in (1, 2, 3)}


def _zstd(data: bytes) -> bytes:
    from visionscaling_ros.bags.storages import zstd

    return bytes(zstd.compress(data))
