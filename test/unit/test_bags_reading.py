"""Bags open whoever wrote them, in whatever format and number of files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_bags import (
    BEGIN_NS,
    IMAGE,
    MCAP,
    SQLITE3,
    STEP_NS,
    STRING,
    McapWriter,
    cdr,
    message_record,
    messages,
    texts,
    the_file,
    write_bag,
    write_images,
    write_rosbag1,
)
from rosbags.rosbag2 import CompressionMode, Writer
from rosbags.typesys import get_types_from_msg, get_typestore
from rosbags.typesys.stores import Stores

from visionscaling_ros.bags import mcap_bag, mcap_chunk
from visionscaling_ros.bags.bag_reader import NOT_CDR, BagReader
from visionscaling_ros.bags.message_types import type_name, typestore
from visionscaling_ros.bags.rosbag1_bag import NO_SUCH_TYPE
from visionscaling_ros.errors import InvalidValueError

DATA = Path(__file__).resolve().parents[1] / 'data' / 'bags'
BOTH = pytest.mark.parametrize('storage', [MCAP, SQLITE3])
COUNTED = [str(n) for n in range(20)]


@BOTH
def test_a_folder_and_its_file_alone_give_the_same(tmp_path: Path, storage) -> None:
    folder = write_bag(tmp_path / 'bag', storage=storage)
    assert texts(folder) == texts(the_file(folder)) == COUNTED
    with BagReader(folder) as bag:
        (topic,) = bag.topics
        assert (topic.name, topic.message_type, topic.count) == ('/chatter', STRING, 20)
        assert (bag.start_ns, bag.end_ns) == (BEGIN_NS, BEGIN_NS + 19 * STEP_NS + 1)
        assert bag.skipped.total == 0


@BOTH
def test_a_stretch_and_some_topics_can_be_read(tmp_path: Path, storage) -> None:
    folder = write_bag(tmp_path / 'bag', storage=storage, topics=('/a', '/b'))
    first, stop = BEGIN_NS + 4 * STEP_NS, BEGIN_NS + 9 * STEP_NS
    assert texts(folder, start_ns=first, stop_ns=stop) == ['4', '5', '6', '7', '8']
    assert texts(folder, topics={'/b'}, start_ns=first) == [str(n) for n in range(5, 20, 2)]
    assert texts(folder, topics=set()) == []


@pytest.mark.parametrize(
    ('storage', 'compression'),
    [
        (MCAP, CompressionMode.MESSAGE),
        (MCAP, CompressionMode.FILE),
        (MCAP, CompressionMode.STORAGE),
        (SQLITE3, CompressionMode.MESSAGE),
        (SQLITE3, CompressionMode.FILE),
    ],
)
@pytest.mark.parametrize('metadata', [True, False])
def test_compressed_bags_read_with_and_without_metadata(
    tmp_path: Path, storage, compression, metadata
) -> None:
    folder = write_bag(tmp_path / 'bag', storage=storage, compression=compression)
    if not metadata:
        (folder / 'metadata.yaml').unlink()
    assert texts(folder) == COUNTED


@pytest.mark.parametrize('words', [None, '', 'no: bag', ': : :', '[1, 2', '\x00'])
def test_a_folder_without_usable_metadata_reads(tmp_path: Path, words) -> None:
    folder = write_bag(tmp_path / 'bag')
    (folder / 'metadata.yaml').unlink()
    if words is not None:
        (folder / 'metadata.yaml').write_text(words)
    assert texts(folder) == COUNTED


@BOTH
@pytest.mark.parametrize('metadata', [True, False])
def test_the_files_of_a_split_bag_follow_one_another(tmp_path: Path, storage, metadata) -> None:
    split = tmp_path / 'split'
    split.mkdir()
    names = []
    for part in range(11):  # so that _10 sorts before _2 by letters
        begin_ns = BEGIN_NS + 5 * part * STEP_NS
        one = write_bag(tmp_path / f'p{part}', storage=storage, count=5, begin_ns=begin_ns)
        names.append(f'split_{part}{the_file(one).suffix}')
        shutil.move(the_file(one), split / names[-1])
    if metadata:
        listed = ''.join(f'    - {name}\n' for name in names)
        text = f'rosbag2_bagfile_information:\n  relative_file_paths:\n{listed}'
        (split / 'metadata.yaml').write_text(text)
    assert [m.log_ns for m in messages(split)] == [BEGIN_NS + n * STEP_NS for n in range(55)]
    (split / names[3]).unlink()
    (split / names[4]).write_bytes(b'nothing')
    with BagReader(split) as bag:
        assert len(list(bag.messages())) == 45
        told = bag.skipped.by_topic
        assert names[4] in told
        assert (names[3] in told) == metadata


@pytest.mark.parametrize('compression', ['', 'lz4', 'zstd'])
@pytest.mark.parametrize('closed', [True, False])
def test_an_mcap_file_without_summary_reads(tmp_path: Path, compression, closed) -> None:
    writer = McapWriter(tmp_path / 'a.mcap', profile='')
    writer.schema()
    writer.channel()
    writer.message('loose', BEGIN_NS)
    content = message_record('a', BEGIN_NS + 1) + message_record('b', BEGIN_NS + 2)
    writer.chunk(content, BEGIN_NS + 1, BEGIN_NS + 2, compression)
    writer.message('last', BEGIN_NS + 3)
    path = writer.write(closed=closed)
    assert texts(path) == ['loose', 'a', 'b', 'last']
    with BagReader(path) as bag:
        assert [t.count for t in bag.topics] == [4]
        list(bag.messages())
        assert bag.skipped.total == (0 if closed else 1)


def test_messages_come_by_time_however_they_are_stored(tmp_path: Path) -> None:
    writer = McapWriter(tmp_path / 'a.mcap')
    writer.schema()
    writer.channel()
    for begin in (6, 0, 3):  # chunks not in order, nor what is in them
        parts = [message_record(str(n), BEGIN_NS + n) for n in (begin + 1, begin, begin + 2)]
        writer.chunk(b''.join(parts), BEGIN_NS + begin, BEGIN_NS + begin + 2, 'zstd')
    assert texts(writer.write(closed=True)) == [str(n) for n in range(9)]


def test_what_is_held_to_be_put_in_order_is_bounded(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(mcap_bag, 'HELD_BYTES', 100)
    writer = McapWriter(tmp_path / 'a.mcap')
    writer.schema()
    writer.channel()
    for number in range(100):  # each chunk claims all the time there is
        record = message_record(str(number), BEGIN_NS + number)
        writer.chunk(record, 0, 2 * BEGIN_NS)
    assert texts(writer.write(closed=True)) == [str(n) for n in range(100)]


@pytest.mark.parametrize('compression', ['', 'lz4', 'zstd'])
def test_a_chunk_too_large_to_hold_is_read_piece_by_piece(
    tmp_path: Path, monkeypatch, compression
) -> None:
    monkeypatch.setattr(mcap_chunk, 'WHOLE_CHUNK_BYTES', 100)
    writer = McapWriter(tmp_path / 'a.mcap')
    writer.schema()
    writer.channel()
    parts = [message_record(str(n), BEGIN_NS + n) for n in range(50)]
    writer.chunk(b''.join(parts), BEGIN_NS, BEGIN_NS + 49, compression)
    assert texts(writer.write(closed=True)) == [str(n) for n in range(50)]


def test_messages_in_another_encoding_are_counted(tmp_path: Path) -> None:
    writer = McapWriter(tmp_path / 'a.mcap')
    writer.schema()
    writer.channel()
    writer.channel('/proto', 2, 'protobuf')
    writer.message('a', BEGIN_NS)
    writer.message('b', BEGIN_NS + 1, 2)
    with BagReader(writer.write(closed=True)) as bag:
        assert [m.topic for m in bag.messages()] == ['/chatter']
        assert bag.skipped.by_topic == {'/proto': {NOT_CDR: 1}}


@BOTH
def test_a_type_nobody_knows_is_read_by_the_bags_own_definition(tmp_path: Path, storage) -> None:
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg('uint8[3] rgb\nstring name\n', 'their/msg/Lamp'))
    lamp = store.types['their/msg/Lamp'](np.array([1, 2, 3], np.uint8), 'red')
    data = store.serialize_cdr(lamp, 'their/msg/Lamp')
    with Writer(tmp_path / 'bag', version=9, storage_plugin=storage) as writer:
        writer.write(writer.add_connection('/lamp', 'their/msg/Lamp', typestore=store), 1, data)
    with BagReader(tmp_path / 'bag') as bag:
        (message,) = bag.messages()
        assert bag.deserialize(message).name == 'red'
        assert bag.fields('their/msg/Lamp') == {'rgb': 'uint8[3]', 'name': 'string'}
        assert bag.fields('no/msg/Such') is None


def test_an_older_version_of_our_messages_is_read_as_it_was(tmp_path: Path) -> None:
    store = get_typestore(Stores.ROS2_JAZZY)
    name = type_name('SlotState')
    store.register(get_types_from_msg('std_msgs/Header header\nfloat32 power_w\n', name))
    header = store.types['std_msgs/msg/Header'](
        store.types['builtin_interfaces/msg/Time'](1, 2), 'robot'
    )
    data = store.serialize_cdr(store.types[name](header, 4.5), name)
    with Writer(tmp_path / 'bag', version=9, storage_plugin=MCAP) as writer:
        writer.write(writer.add_connection('/slot_state', name, typestore=store), 1, data)
    with BagReader(tmp_path / 'bag') as bag:
        (message,) = bag.messages()
        assert bag.deserialize(message).power_w == 4.5
        assert set(bag.fields(name) or ()) == {'header', 'power_w'}
        short = type(message)(message.topic, name, 1, message.data[:9])
        with pytest.raises(InvalidValueError, match=r'/slot_state.*9 B'):
            bag.deserialize(short)


def test_what_ros_1_recorded_comes_as_ros_2_has_it(tmp_path: Path) -> None:
    path = write_rosbag1(tmp_path / 'old.bag')
    with BagReader(path) as bag:
        found = list(bag.messages())
        pictures = [bag.deserialize(m) for m in found if m.message_type == IMAGE]
        assert [p.data[0] for p in pictures] == list(range(10))
        assert not hasattr(pictures[0].header, 'seq')
        assert pictures[3].header.stamp.nanosec == (3 * STEP_NS) % 10**9
        assert [bag.deserialize(m).data for m in found if m.message_type == STRING] == (
            [str(n) for n in range(10)]
        )
        battery = [bag.deserialize(m) for m in found if m.topic == '/battery']
        assert [b.charge for b in battery] == [0.5] * 10
        assert bag.skipped.total in (0, 1)
        assert set(bag.skipped.by_topic.get('/log', {})) <= {NO_SUCH_TYPE}


@BOTH
def test_fields_are_named_as_rclpy_names_them(tmp_path: Path, storage) -> None:
    sensor_msgs = pytest.importorskip('sensor_msgs.msg')
    write_images(tmp_path / 'bag', {'/image': IMAGE}, storage=storage)
    with BagReader(tmp_path / 'bag') as bag:
        assert bag.fields(IMAGE) == sensor_msgs.Image.get_fields_and_field_types()


@pytest.mark.parametrize(
    ('name', 'count', 'types'),
    [
        ('only_topics.mcap', 7, {'/parameter_events': 'rcl_interfaces/msg/ParameterEvent'}),
        ('talker_mcap', 20, {'/topic': STRING}),
        ('talker_mcap/talker.mcap', 20, {'/topic': STRING}),
        ('talker_sqlite3', 20, {'/topic': STRING}),
        ('talker_sqlite3/talker.db3', 20, {'/topic': STRING}),
    ],
)
def test_bags_of_the_ros_2_tools_open(name: str, count: int, types: dict[str, str]) -> None:
    with BagReader(DATA / name) as bag:
        there = {t.name: t.message_type for t in bag.topics}
        assert types.items() <= there.items()
        found = list(bag.messages())
        assert len(found) == count == sum(t.count for t in bag.topics)
        assert bag.skipped.total == 0
        for message in found:
            if message.topic in types:
                bag.deserialize(message)
        assert all(t.qos for t in bag.topics if t.count)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from('abc'), st.integers(0, 10**12), st.text(max_size=20)),
             max_size=30),
    st.sampled_from([MCAP, SQLITE3]),
)  # fmt: skip
def test_whatever_is_written_is_read(tmp_path_factory, written, storage) -> None:
    folder = tmp_path_factory.mktemp('bags') / 'bag'
    with Writer(folder, version=9, storage_plugin=storage) as writer:
        connections = {
            name: writer.add_connection(f'/{name}', STRING, typestore=typestore()) for name in 'abc'
        }
        for name, log_ns, words in written:
            writer.write(connections[name], log_ns, cdr(words))
    read = [(m.topic[1:], m.log_ns, m.data) for m in messages(folder)]
    assert sorted(read) == sorted((name, ns, cdr(words)) for name, ns, words in written)
    assert [ns for _, ns, _ in read] == sorted(ns for _, ns, _ in written)
