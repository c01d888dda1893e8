"""What is recorded, in which order, and what has to go when the disk is too slow."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.storage_mcap import McapReader

from visionscaling_ros.bags.bag_writer import BagWriter
from visionscaling_ros.bags.message_queue import MessageQueue, Queued
from visionscaling_ros.bags.recording import GATHER_S, HOLD_NS, Recording
from visionscaling_ros.bags.topic_choice import COMPRESSED_IMAGE, IMAGE, TopicChoice
from visionscaling_ros.bags.topic_names import absolute
from visionscaling_ros.cli.record import size_bytes
from visionscaling_ros.errors import InvalidValueError

MIB = 2**20
STRING = 'std_msgs/msg/String'
STATE = 'visionscaling_ros/msg/SlotState'
GRAPH = {
    '/a/slot_state': STATE,
    '/a/image_raw': IMAGE,
    '/a/image_raw/compressed': COMPRESSED_IMAGE,
    '/a/rear/compressed': COMPRESSED_IMAGE,
    '/a/inference_node/debug_image': IMAGE,
    '/a/inference_node/debug_image/compressed': COMPRESSED_IMAGE,
    '/b/slot_state': STATE,
    '/ab/scan': STRING,
    '/other/scan': STRING,
    '/tf': 'tf2_msgs/msg/TFMessage',
    '/a/_action/feedback': STRING,
}
ROBOT_A = {'/a/slot_state', '/a/image_raw', '/a/rear/compressed'}


@pytest.mark.parametrize(
    ('choice', 'chosen'),
    [
        (TopicChoice(), ROBOT_A | {'/b/slot_state', '/tf'}),
        (TopicChoice(namespaces=('a',)), ROBOT_A | {'/tf'}),
        (TopicChoice(namespaces=('/a/',), images='none'), {'/a/slot_state', '/tf'}),
        (
            TopicChoice(namespaces=('/a',), images='compressed'),
            {'/a/slot_state', '/a/image_raw/compressed', '/a/rear/compressed', '/tf'},
        ),
        (
            TopicChoice(namespaces=('/a',), images='all', exclude=('/tf', '*/rear/*')),
            {'/a/slot_state', '/a/image_raw', '/a/image_raw/compressed'},
        ),
        (TopicChoice(only=('/other/*', '/tf')), {'/other/scan', '/tf'}),
        (TopicChoice(only=('*debug_image',)), {'/a/inference_node/debug_image'}),
        (
            TopicChoice(everything=True, exclude=('/a/*',)),
            {'/b/slot_state', '/ab/scan', '/other/scan', '/tf'},
        ),
    ],
)
def test_topics_are_chosen_by_robot_pattern_and_kind_of_image(
    choice: TopicChoice, chosen: set[str]
) -> None:
    assert choice.chosen(GRAPH) == chosen


def test_a_robot_without_namespace_has_every_topic_but_the_hidden_and_the_made_on_demand() -> None:
    graph = {'/slot_state': STATE, '/camera/image': IMAGE, '/inference_node/debug_image': IMAGE}
    assert TopicChoice().chosen(graph) == {'/slot_state', '/camera/image'}


def test_images_that_there_are_not_are_refused() -> None:
    with pytest.raises(InvalidValueError, match='raw, compressed'):
        TopicChoice(images='jpeg')


sizes = st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=40)


@given(sizes, st.integers(1, 200))
def test_a_full_queue_drops_the_oldest_images_first_and_counts_them(
    puts: list[tuple[bool, int]], limit: int
) -> None:
    queue: MessageQueue[str] = MessageQueue(limit)
    images: list[int] = []
    others: list[int] = []
    lost = {'image': 0, 'other': 0}
    for number, (is_image, size) in enumerate(puts):
        queue.put(Queued(number, 'image' if is_image else 'other', bytes(size)), is_image=is_image)
        (images if is_image else others).append(number)
        while sum(puts[n][1] for n in images + others) > limit:
            lost['image' if images else 'other'] += 1
            (images or others).pop(0)
    queue.close()
    assert [message.log_ns for message in queue.take(0.0)] == sorted(images + others)
    assert {topic: queue.dropped[topic] for topic in lost} == lost
    assert queue.take(0.0) == []


def test_a_closed_queue_wakes_who_waits_and_takes_no_more() -> None:
    queue: MessageQueue[str] = MessageQueue(100)
    taken: list[list[Queued[str]]] = []
    waiting = threading.Thread(target=lambda: taken.append(queue.take(600.0)))
    waiting.start()
    queue.close()
    waiting.join(60.0)
    queue.put(Queued(1, 'late', b''), is_image=False)
    assert (taken, queue.take(0.0)) == ([[]], [])


def test_what_is_taken_at_once_is_little_and_the_rest_is_taken_without_a_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr('visionscaling_ros.bags.message_queue.TAKEN_BYTES', 25)
    queue: MessageQueue[str] = MessageQueue(1000)
    for number in range(6):
        queue.put(Queued(number, 'any', bytes(10)), is_image=bool(number % 2))
    taken = [[message.log_ns for message in queue.take(0.0)], []]
    assert not queue.drained
    taken[1] = [message.log_ns for message in queue.take(600.0)]
    assert taken == [[0, 1, 2], [3, 4, 5]]
    queue.close()
    assert queue.drained


class FrozenDisk:
    """A disk of its own that lets nobody write until it thaws, which it also does with us."""

    def __init__(self, folder: Path) -> None:
        image, self.path = folder / 'disk', folder / 'mounted'
        with image.open('wb') as file:
            file.truncate(64 * MIB)
        self.path.mkdir()
        _run('mkfs.ext4', '-q', str(image))
        _run('mount', '-o', 'loop', str(image), str(self.path))
        try:  # may be forbidden where mounting is not
            _run('fsfreeze', '--freeze', str(self.path))
            _run('fsfreeze', '--unfreeze', str(self.path))
        except (OSError, subprocess.CalledProcessError):
            self.close()
            raise

    def freeze(self) -> None:
        words = 'fsfreeze --freeze "$0" && echo frozen && read -r end; fsfreeze --unfreeze "$0"'
        self._frozen = subprocess.Popen(
            ['sh', '-c', words, str(self.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._frozen.stdout is not None
        assert self._frozen.stdout.readline() == b'frozen\n'

    def thaw(self) -> None:
        self._frozen.communicate()

    def close(self) -> None:
        _run('umount', str(self.path))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


class SlowDisk(FrozenDisk):
    """The same where nobody may mount a disk: the writer waits."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.may_write = threading.Event()

    def freeze(self) -> None:
        self.may_write.clear()

    def thaw(self) -> None:
        self.may_write.set()

    def close(self) -> None:
        pass

    def writer(self, path: Path, storage: str) -> BagWriter:
        may_write = self.may_write

        class SlowWriter(BagWriter):
            def write(self, topic: Any, log_ns: int, data: bytes | memoryview) -> None:
                may_write.wait()
                super().write(topic, log_ns, data)

        self.may_write.set()
        return SlowWriter(path, storage)


@pytest.fixture(params=[FrozenDisk, SlowDisk])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FrozenDisk]:
    try:
        disk = request.param(tmp_path)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip('only root may mount and freeze a disk')
    yield disk
    disk.close()


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_disk_that_stands_still_costs_images_only_and_they_are_counted(
    disk: FrozenDisk, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr('visionscaling_ros.bags.message_queue.TAKEN_BYTES', 2 * MIB)
    make = disk.writer if isinstance(disk, SlowDisk) else BagWriter
    count, queue_bytes, image = 100, 8 * MIB, bytes(MIB // 2)
    recording = Recording(make(disk.path / 'bag', storage), queue_bytes=queue_bytes)
    words, images = (recording.add_topic(f'/{t}', t, []) for t in (STRING, IMAGE))
    recording.put(words, 0, bytes(8))
    disk.freeze()
    try:
        for number in range(1, count):
            recording.put(images, number * HOLD_NS, image)
            recording.put(words, number * HOLD_NS + 1, bytes(8))
            threading.Event().wait(0.001)  # so that some are taken before it stands still
        dropped = recording.state.dropped
    finally:
        disk.thaw()
    recording.close()
    kept = count - 1 - dropped
    assert not recording.failed
    assert {row.topic: (row.messages, row.dropped) for row in recording.summary()} == {
        f'/{STRING}': (count, 0),
        f'/{IMAGE}': (kept, dropped),
    }
    # in the queue, taken, and on their way from the writer to the disk
    assert queue_bytes - len(image) <= kept * len(image) <= queue_bytes + (2 + 8 + 2) * MIB
    with Reader(disk.path / 'bag') as reader:
        times_ns = {c.topic: [] for c in reader.connections}
        for connection, log_ns, _ in reader.messages():
            times_ns[connection.topic].append(log_ns)
    assert len(times_ns[f'/{STRING}']) == count
    assert len(times_ns[f'/{IMAGE}']) == kept
    newest = range(count - queue_bytes // len(image) + 1, count)
    assert set(times_ns[f'/{IMAGE}']) >= {number * HOLD_NS for number in newest}


def test_messages_are_in_the_file_in_the_order_of_their_reception(tmp_path: Path) -> None:
    recording = Recording(BagWriter(tmp_path / 'bag'), queue_bytes=10**6)
    words, images = (recording.add_topic(f'/{t}', t, []) for t in (STRING, IMAGE))
    for step in range(1, 21):
        recording.put(words, step * HOLD_NS // 4, b'word')
        recording.put(images, step * HOLD_NS // 4 - HOLD_NS // 8, b'image')
        threading.Event().wait(GATHER_S / 10)  # so that they come in several lots
    recording.close()
    reader = McapReader(tmp_path / 'bag' / 'bag.mcap')
    reader.open()
    found = [log_ns for _, log_ns, _ in reader.messages_scan(reader.connections)]
    reader.close()
    assert found == sorted(found)
    assert len(found) == 40
    summary = {row.topic: row for row in recording.summary()}
    assert (summary[f'/{STRING}'].messages, summary[f'/{STRING}'].size_bytes) == (20, 80)
    assert summary[f'/{IMAGE}'].rate_hz == pytest.approx(4e9 / HOLD_NS)


def test_an_unknown_type_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    recording = Recording(BagWriter(tmp_path / 'bag'), queue_bytes=10**6)
    with pytest.raises(InvalidValueError, match='acme_msgs/msg/Anvil'):
        recording.add_topic('/anvil', 'acme_msgs/msg/Anvil', [])
    recording.put(recording.add_topic('/words', STRING, []), 1, b'word')
    recording.close()
    assert [(row.topic, row.messages) for row in recording.summary()] == [('/words', 1)]


def test_a_recording_ends_at_the_size_asked_for_and_says_so(tmp_path: Path) -> None:
    ended = threading.Event()
    recording = Recording(
        BagWriter(tmp_path / 'bag'), queue_bytes=10**8, max_bytes=10**7, on_end=ended.set
    )
    images = recording.add_topic('/images', IMAGE, [])
    for number in range(30):
        recording.put(images, number * HOLD_NS, bytes(10**6))
    assert ended.wait(60.0)
    recording.close()
    assert '10 MB' in recording.end_reason
    assert not recording.failed
    (row,) = recording.summary()
    assert row.messages >= 10


def test_a_bag_that_cannot_be_written_ends_the_recording_and_says_why(tmp_path: Path) -> None:
    ended = threading.Event()
    writer = BagWriter(tmp_path / 'bag')
    recording = Recording(writer, queue_bytes=10**6, on_end=ended.set)
    writer.close()  # as a failure nobody thought of
    recording.put(recording.add_topic('/words', STRING, []), 1, b'word')
    assert ended.wait(60.0)
    recording.close()
    assert recording.failed
    assert recording.end_reason


@pytest.mark.parametrize(
    ('words', 'size'), [('500M', 500e6), ('2g', 2e9), ('1024', 1024), ('1.5K', 1500)]
)
def test_sizes_are_read_with_their_unit(words: str, size: float) -> None:
    assert size_bytes(words) == size


@pytest.mark.parametrize('words', ['', 'M', '-1G', '0', 'nan', 'infG', 'two'])
def test_a_size_that_is_none_is_refused(words: str) -> None:
    with pytest.raises(InvalidValueError, match='500M'):
        size_bytes(words)


def test_a_topic_may_lack_its_first_slash() -> None:
    assert [absolute(p) for p in ('tf', '/tf', '*/tf')] == ['/tf', '/tf', '*/tf']


def test_what_is_the_last_for_a_while_is_written_before_the_end(tmp_path: Path) -> None:
    recording = Recording(BagWriter(tmp_path / 'bag'), queue_bytes=10**6)
    words = recording.add_topic('/words', STRING, [])
    for number in range(3):
        recording.put(words, 10**9 + number, b'word')
    deadline_s = time.monotonic() + 60.0
    while recording.state.messages < 3:
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.02)
    recording.close()
