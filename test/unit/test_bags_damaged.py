"""A damaged bag gives what can be read of it, and says what could not; never anything worse."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from made_bags import (
    BEGIN_NS,
    MCAP,
    SQLITE3,
    McapWriter,
    cdr,
    message_record,
    messages,
    the_file,
    write_bag,
    write_rosbag1,
)
from rosbags.rosbag2 import CompressionMode

from visionscaling_ros.bags.bag_reader import BagReader
from visionscaling_ros.errors import InvalidValueError

BOTH = pytest.mark.parametrize('storage', [MCAP, SQLITE3])
COUNT = 100


@pytest.fixture(scope='module')
def whole_bags(tmp_path_factory) -> dict[str, Path]:
    """One file of each kind, with messages of 1 kB or so."""
    folder = tmp_path_factory.mktemp('whole')
    rosbag1 = write_rosbag1(folder / 'old.bag')
    plain = {s.name.lower(): write_bag(folder / s.name, storage=s, count=COUNT, size=1000,
                                       topics=('/a', '/b')) for s in (MCAP, SQLITE3)}
    zstd = CompressionMode.STORAGE
    packed = write_bag(folder / 'packed', count=COUNT, size=1000, compression=zstd)
    loose = McapWriter(folder / 'loose.mcap')
    loose.schema()
    loose.channel()
    for number in range(COUNT):
        loose.message(str(number), BEGIN_NS + number)
    return {
        'bag': rosbag1,
        **{name: the_file(path) for name, path in plain.items()},
        'packed': the_file(packed),
        'loose': loose.write(),
    }  # fmt: skip


def read_all(path: Path) -> tuple[int, int]:
    """Messages read and problems counted of a bag that may be anything."""
    refusal = ''
    try:
        with BagReader(path) as bag:
            read = 0
            for message in bag.messages():
                read += 1
                try:
                    bag.deserialize(message)
                except InvalidValueError:
                    continue
            return read, bag.skipped.total
    except InvalidValueError as error:
        refusal = str(error)
    assert str(path) in refusal  # it names the file
    return 0, 1


@pytest.mark.parametrize('name', ['a.mcap', 'a.db3', 'a.bag', 'a.txt', 'a.mcap.zstd', '.'])
@pytest.mark.parametrize('content', [b'', b'\x00' * 100, os.urandom(5000), b'SQLite format 3\x00'])
def test_what_is_no_bag_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    if name != '.':
        path.write_bytes(content)
    with pytest.raises(InvalidValueError) as caught, BagReader(path):
        pass
    assert str(path) in str(caught.value)


def test_a_bag_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match='does not exist'), BagReader(tmp_path / 'none'):
        pass


def test_a_database_that_is_no_bag_is_refused(tmp_path: Path) -> None:
    path = tmp_path / 'other.db3'
    database = sqlite3.connect(path)
    database.execute('CREATE TABLE topics (id INTEGER, title TEXT)')
    database.execute("INSERT INTO topics VALUES (1, 'x')")
    database.commit()
    database.close()
    with pytest.raises(InvalidValueError, match='rosbag2 SQLite'), BagReader(path):
        pass


@BOTH
def test_an_empty_bag_opens_and_has_nothing(tmp_path: Path, storage) -> None:
    folder = write_bag(tmp_path / 'bag', storage=storage, count=0)
    with BagReader(folder) as bag:
        assert list(bag.messages()) == []
        assert (bag.start_ns, bag.end_ns, bag.skipped.total) == (0, 0, 0)
        assert [t.count for t in bag.topics] == [0]


def test_what_a_killed_recorder_left_is_read(tmp_path: Path, whole_bags) -> None:
    whole = whole_bags['mcap'].read_bytes()
    cut = tmp_path / 'cut.mcap'
    before = 0
    for tenths in (3, 5, 8):
        cut.write_bytes(whole[: len(whole) * tenths // 10])
        read = messages(cut)
        assert read == messages(whole_bags['mcap'])[: len(read)]
        assert before < len(read) < COUNT
        before = len(read)
        with BagReader(cut) as bag:
            list(bag.messages())
            assert list(bag.skipped.by_topic) == ['cut.mcap']


def test_the_first_half_of_a_cut_database_is_read(tmp_path: Path, whole_bags) -> None:
    whole = whole_bags['sqlite3'].read_bytes()
    cut = tmp_path / 'cut.db3'
    cut.write_bytes(whole[: len(whole) // 2])
    read = messages(cut)
    assert 0.3 * COUNT < len(read) < COUNT
    assert read == messages(whole_bags['sqlite3'])[: len(read)]
    with BagReader(cut) as bag:
        list(bag.messages())
        assert 'cut.db3' in bag.skipped.by_topic


def test_a_database_of_which_nothing_can_be_read_is_refused(tmp_path: Path, whole_bags) -> None:
    content = bytearray(whole_bags['sqlite3'].read_bytes())
    database = sqlite3.connect(whole_bags['sqlite3'])
    (page,) = database.execute('PRAGMA page_size').fetchone()
    roots = database.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'messages'")
    for (root,) in roots:
        content[page * (root - 1) : page * root] = b'\xff' * page
    database.close()
    path = tmp_path / 'rootless.db3'
    path.write_bytes(content)
    with pytest.raises(InvalidValueError, match='malformed'), BagReader(path):
        pass


def test_a_database_whose_last_messages_are_in_its_log_is_read_whole(tmp_path: Path) -> None:
    folder = write_bag(tmp_path / 'bag', storage=SQLITE3, count=5)
    path = the_file(folder)
    database = sqlite3.connect(path)
    database.execute('PRAGMA journal_mode=WAL')
    database.execute(
        'INSERT INTO messages (topic_id, timestamp, data) '
        'SELECT topic_id, timestamp + 1, data FROM messages'
    )
    database.commit()
    killed = tmp_path / 'killed'
    shutil.copytree(folder, killed)  # the recorder is still at it
    database.close()
    assert len(messages(killed)) == 10


@pytest.mark.parametrize('kind', ['mcap', 'packed'])
def test_a_damaged_chunk_costs_its_own_messages(tmp_path: Path, kind: str) -> None:
    writer = McapWriter(tmp_path / 'a.mcap')
    writer.schema()
    writer.channel()
    compression = 'zstd' if kind == 'packed' else ''
    for begin in (0, 10, 20):
        parts = [message_record(str(begin + n), BEGIN_NS + begin + n) for n in range(10)]
        writer.chunk(b''.join(parts), BEGIN_NS + begin, BEGIN_NS + begin + 9, compression)
    chunk = bytearray(writer.parts[-2])
    chunk[60:90] = b'\xff' * 30
    writer.parts[-2] = bytes(chunk)
    path = writer.write(closed=True)
    intact = {cdr(str(n)) for n in (*range(10), *range(20, 30))}
    with BagReader(path) as bag:
        assert intact <= {message.data for message in bag.messages()}
        assert bag.skipped.total


KINDS = st.sampled_from(['mcap', 'packed', 'loose', 'sqlite3', 'bag'])
HOSTILE = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@HOSTILE
@given(kind=KINDS, share=st.floats(0.0, 1.0))
@example(kind='mcap', share=0.9999)
def test_a_bag_cut_anywhere_never_crashes(whole_bags, tmp_path: Path, kind, share) -> None:
    whole = whole_bags[kind].read_bytes()
    path = tmp_path / f'cut{whole_bags[kind].suffix}'
    path.write_bytes(whole[: int(len(whole) * share)])
    read, problems = read_all(path)
    assert problems or read == len(messages(whole_bags[kind]))


@HOSTILE
@given(
    kind=KINDS,
    flips=st.lists(st.tuples(st.floats(0.0, 0.999999), st.binary(min_size=1, max_size=9)),
                   min_size=1, max_size=8),
    end=st.booleans(),
)  # fmt: skip
def test_a_bag_with_any_bytes_changed_never_crashes(
    whole_bags, tmp_path: Path, kind, flips, end
) -> None:
    content = bytearray(whole_bags[kind].read_bytes())
    size = len(content)
    span = min(size, 3000) if end else size  # most of what steers the reader is at either end
    for share, new in flips:
        at = int(share * span) if not end or share < 0.5 else size - 1 - int((share - 0.5) * span)
        content[at : at + len(new)] = new
    path = tmp_path / f'flipped{whole_bags[kind].suffix}'
    path.write_bytes(content[:size])
    read, _ = read_all(path)
    assert read <= 2 * COUNT
