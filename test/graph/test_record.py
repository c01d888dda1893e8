"""visionscaling record beside real publishers."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from graph_harness import TIMEOUT_S
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image
from visionscaling_ros.msg import ControllerSettings, SlotState
from waiting import until

from visionscaling_ros.bags.bag_writer import BagWriter
from visionscaling_ros.bags.topic_choice import TopicChoice
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.bag_recorder import BagRecorder
from visionscaling_ros.nodes.listener import Listener

BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
PUBLISH_PERIOD_S = 0.05
RECORD = 'import sys; from visionscaling_ros.cli.main import main; sys.exit(main())'


def read(folder: Path) -> list[tuple[str, bytes]]:
    with AnyReader([folder]) as reader:
        return [(c.topic, bytes(data)) for c, _, data in reader.messages()]


def publish(graph: Any, kind: Any, topic: str, qos: Any, message: Any) -> Any:
    """A publisher that says it again and again."""
    publisher = graph.observer.advertise(kind, topic, qos)
    graph.observer.every(PUBLISH_PERIOD_S, lambda: publisher.publish(message))
    return publisher


@pytest.fixture
def recorder(graph: Any, tmp_path: Path) -> Iterator[BagRecorder]:
    skipped: list[tuple[str, str]] = []
    bag = BagRecorder(
        BagWriter(tmp_path / 'bag'),
        TopicChoice(everything=True),
        on_skipped=lambda *what: skipped.append(what),
    )
    with bag:
        yield bag
    assert not skipped


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_sigterm_leaves_a_whole_bag_with_what_was_latched_before_it_began(
    graph: Any, storage: str
) -> None:
    settings = ControllerSettings(version=3)
    latched = graph.observer.advertise(
        ControllerSettings, topics.CONTROLLER_SETTINGS, topics.DECISION_QOS
    )
    latched.publish(settings)
    state = SlotState(slot=5)
    publish(graph, SlotState, topics.SLOT_STATE, topics.STATE_QOS, state)
    image = Image(height=120, width=160, encoding='bgr8', step=480, data=bytes(120 * 480))
    publish(graph, Image, topics.IMAGE_RAW, topics.IMAGE_PUBLISHER_QOS, image)
    packed = CompressedImage(format='jpeg', data=b'x')
    publish(graph, CompressedImage, topics.IMAGE_COMPRESSED, BEST_EFFORT, packed)
    debug = publish(graph, Image, '/inference_node/debug_image', BEST_EFFORT, image)
    publish(graph, DiagnosticArray, '/diagnostics', 10, DiagnosticArray())

    # a package without the type, as where it is not installed
    hidden = graph.folder / 'hidden' / 'diagnostic_msgs'
    hidden.mkdir(parents=True)
    (hidden / '__init__.py').touch()
    (hidden / 'msg.py').touch()
    graph.environment['PYTHONPATH'] = os.pathsep.join(
        [str(hidden.parent), os.environ.get('PYTHONPATH', '')]
    )
    folder, summary = graph.folder / 'bag', graph.folder / 'summary.json'
    options = ('--storage', storage, '--out', str(folder), '--json', str(summary))
    process = graph.run(sys.executable, '-c', RECORD, 'record', *options)
    process.wait_for_output('/diagnostics is not recorded')
    file = folder / ('bag.mcap' if storage == 'mcap' else 'bag.db3')
    until(lambda: file.exists() and file.stat().st_size > 1_500_000, 'enough in the bag')
    assert debug.get_subscription_count() == 0
    assert process.stop(signal.SIGTERM) == 0, process.output

    found = read(folder)
    counts = Counter(topic for topic, _ in found)
    told = {t['topic']: t['messages'] for t in json.loads(summary.read_text())['topics']}
    assert {topic: count for topic, count in told.items() if count} == counts
    assert counts['/controller_settings'] == 1
    assert {'/slot_state', '/image_raw'} < set(counts)
    assert not {'/image_raw/compressed', '/inference_node/debug_image', '/diagnostics'} & set(told)
    for topic, message in (
        ('/controller_settings', settings), ('/slot_state', state), ('/image_raw', image),
    ):  # fmt: skip
        assert all(
            deserialize_message(data, type(message)) == message
            for name, data in found
            if name == topic
        )
    with AnyReader([folder]) as reader:
        qos = {c.topic: c.ext.offered_qos_profiles for c in reader.connections}
    assert qos['/controller_settings'][0].durability is QosDurability.TRANSIENT_LOCAL
    assert process.output.count('/diagnostics is not recorded') == 1


def test_topics_that_come_later_are_recorded_too(
    graph: Any, recorder: BagRecorder, tmp_path: Path
) -> None:
    until(lambda: recorder.topics, 'the first topics')
    assert '/late' not in recorder.topics
    publish(graph, SlotState, '/late', 10, SlotState(slot=1))
    until(lambda: '/late' in recorder.topics, 'the late topic')
    written = recorder.recording.state.messages
    until(lambda: recorder.recording.state.messages > written, 'its messages')
    recorder.recording.close()
    assert '/late' in {topic for topic, _ in read(tmp_path / 'bag')}


def test_a_publisher_that_offers_less_than_those_before_is_heard_too(
    graph: Any, recorder: BagRecorder, tmp_path: Path
) -> None:
    publish(graph, SlotState, '/state', topics.DECISION_QOS, SlotState(slot=1))
    until(lambda: '/state' in recorder.topics, 'the topic')
    weaker = publish(graph, SlotState, '/state', BEST_EFFORT, SlotState(slot=2))
    until(lambda: weaker.get_subscription_count() > 0, 'heard')
    written = recorder.recording.state.messages
    until(lambda: recorder.recording.state.messages > written + 20, 'messages of both')
    recorder.recording.close()
    with AnyReader([tmp_path / 'bag']) as reader:
        slots = {
            reader.deserialize(data, c.msgtype).slot
            for c, _, data in reader.messages()
            if c.topic == '/state'
        }
    assert slots == {1, 2}


def test_a_publisher_in_place_of_another_that_offers_less_is_heard(
    graph: Any, recorder: BagRecorder
) -> None:
    with Listener('speaker') as speaker:
        first = speaker.run(lambda: speaker.node.create_publisher(SlotState, '/state', 10))
        until(lambda: first.get_subscription_count() > 0, 'the first heard')

        def replace() -> Any:
            speaker.node.destroy_publisher(first)
            return speaker.node.create_publisher(SlotState, '/state', BEST_EFFORT)

        second = speaker.run(replace)
        until(lambda: second.get_subscription_count() > 0, 'the second heard')


def test_the_time_of_the_clock_is_taken_from_its_first_message_on(
    graph: Any, tmp_path: Path
) -> None:
    publish(graph, SlotState, '/state', topics.DECISION_QOS, SlotState(slot=1))
    bag = BagRecorder(BagWriter(tmp_path / 'bag'), TopicChoice(), use_sim_time=True)
    with bag as recorder:
        until(lambda: recorder.run(lambda: recorder.node.count_publishers('/state')), 'seen')
        recorder.run(recorder.look)
        assert not recorder.topics
        publish(graph, Clock, '/clock', BEST_EFFORT, Clock(clock=Time(sec=100)))
        until(lambda: '/state' in recorder.topics, 'the topic')
        until(lambda: recorder.recording.state.messages > 3, 'its messages')
    with AnyReader([tmp_path / 'bag']) as reader:
        assert {log_ns for _, log_ns, _ in reader.messages()} == {100 * 10**9}


@pytest.mark.usefixtures('graph')
def test_who_records_is_told_when_nothing_is_heard_any_more(tmp_path: Path) -> None:
    ended = threading.Event()

    def spoil() -> None:
        raise ValueError('spoilt')

    recorder = BagRecorder(BagWriter(tmp_path / 'bag'), TopicChoice(), on_end=ended.set)
    recorder.__enter__()
    recorder.run(lambda: recorder.node.create_timer(0.01, spoil))
    assert ended.wait(TIMEOUT_S)
    with pytest.raises(RuntimeError, match='spoilt'):
        recorder.__exit__(None, None, None)
    assert read(tmp_path / 'bag') == []
