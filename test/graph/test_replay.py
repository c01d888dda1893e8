"""A bag played into a real graph."""

from __future__ import annotations

import itertools
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from graph_harness import TIMEOUT_S
from made_bags import (
    BEGIN_NS,
    IMAGE,
    SQLITE3,
    STEP_NS,
    STRING,
    cdr,
    write_bag,
    write_images,
    write_rosbag1,
)
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import String

from visionscaling_ros.bags.message_types import type_name, typestore
from visionscaling_ros.message_reading import stamp_to_ns

CLI = 'from visionscaling_ros.cli.main import main; raise SystemExit(main())'
BURST = 5_000  # many times what is on its way at once
NO_TIME = QosTime(0, 0)
RELIABLE = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
LATCHED, ALL_LATCHED = (
    QoSProfile(depth=depth, durability=DurabilityPolicy.TRANSIENT_LOCAL) for depth in (1, 100)
)


def start(graph: Any, *words: Any) -> Any:
    return graph.run(sys.executable, '-c', CLI, *map(str, words))


def replay(graph: Any, *words: Any) -> dict[str, Any]:
    """Play to the end; the summary."""
    result = graph.folder / 'summary.json'
    player = start(graph, 'replay', *words, '--json', result)
    assert player.wait(2 * TIMEOUT_S) == 0, player.output
    return dict(json.loads(result.read_text()))


@pytest.mark.parametrize(
    ('rate', 'storage'), [(1, StoragePlugin.MCAP), (5, StoragePlugin.SQLITE3)]
)
def test_a_reliable_subscriber_gets_every_frame_at_any_rate(
    graph: Any, tmp_path: Path, rate: int, storage: StoragePlugin
) -> None:
    images = {'/cam/image': IMAGE}
    bag = write_images(tmp_path / 'bag', images, storage=storage, count=60, side_px=320)
    watch = graph.observer.watch('/image_raw', Image, RELIABLE)
    clock = graph.observer.watch('/clock', Clock, RELIABLE)
    summary = replay(
        graph, bag, '--rate', rate, '--clock', '--wait-for-subscribers',
        '--remap', '/cam/image:=/image_raw',
    )  # fmt: skip
    assert summary['published'] == {'/image_raw': 60}
    assert summary['unacknowledged'] == []
    watch.wait(lambda _: len(watch.messages) == 60)
    stamps = [stamp_to_ns(m.header.stamp) for m in watch.messages]
    assert stamps == [BEGIN_NS + round(n / 30 * 1e9) for n in range(60)]
    told = [stamp_to_ns(m.clock) for m in clock.messages]
    assert told == sorted(told)
    assert told[0] >= BEGIN_NS
    assert told[-1] <= stamps[-1]


def test_a_burst_of_small_messages_reaches_who_keeps_them(graph: Any, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', count=BURST, step_ns=1)
    keeps = QoSProfile(depth=BURST, reliability=ReliabilityPolicy.RELIABLE)
    watch = graph.observer.watch('/chatter', String, keeps)
    summary = replay(graph, bag, '--wait-for-subscribers')
    assert summary['published'] == {'/chatter': BURST}
    watch.wait(lambda _: len(watch.messages) == BURST)
    assert [m.data for m in watch.messages] == [str(number) for number in range(BURST)]


def test_the_clock_goes_back_with_every_loop_and_ctrl_c_ends_it(graph: Any, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', count=5)
    watch = graph.observer.watch('/chatter', String, RELIABLE)
    clock = graph.observer.watch('/clock', Clock, RELIABLE)
    player = start(graph, 'replay', bag, '--loop', '--clock', '--wait-for-subscribers')
    watch.wait(lambda _: len(watch.messages) > 12)
    assert player.stop(signal.SIGINT) == 0
    assert 'interrupted' in player.output
    assert 'Traceback' not in player.output
    assert [m.data for m in watch.messages[:12]] == list('012340123401')
    told = [stamp_to_ns(m.clock) for m in clock.messages]
    assert sum(later < earlier for earlier, later in itertools.pairwise(told)) >= 2
    assert max(told) <= BEGIN_NS + 4 * STEP_NS + 1


def test_what_was_latched_is_latched_again(graph: Any, tmp_path: Path) -> None:
    latched = Qos(
        QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
        NO_TIME, NO_TIME, QosLiveliness.AUTOMATIC, NO_TIME, avoid_ros_namespace_conventions=False,
    )  # fmt: skip
    of_two = [latched._replace(history=QosHistory.UNKNOWN, depth=0)] * 2
    with Writer(tmp_path / 'bag', version=9, storage_plugin=SQLITE3) as writer:
        settings, frames = (
            writer.add_connection(
                name, STRING, typestore=typestore(), offered_qos_profiles=offered
            )
            for name, offered in (('/settings', [latched]), ('/frames', of_two))
        )
        chatter = writer.add_connection('/chatter', STRING, typestore=typestore())
        for number in range(2):
            writer.write(settings, BEGIN_NS + number, cdr(f'settings {number}'))
            writer.write(frames, BEGIN_NS + number, cdr(f'frame {number}'))
        for number in range(1000):
            writer.write(chatter, BEGIN_NS + number * STEP_NS, cdr(str(number)))
    player = start(graph, 'replay', tmp_path / 'bag')
    graph.observer.wait_for('/chatter', String)  # the settings were told before
    late = graph.observer.watch('/settings', String, LATCHED)
    assert late.wait().data == 'settings 1'
    both = graph.observer.watch('/frames', String, ALL_LATCHED)
    both.wait(lambda _: len(both.messages) == 2)
    assert [m.data for m in both.messages] == ['frame 0', 'frame 1']
    assert player.stop(signal.SIGINT) == 0


def test_types_that_are_not_these_are_skipped_and_named(graph: Any, tmp_path: Path) -> None:
    store = get_typestore(Stores.ROS2_JAZZY)
    older, unknown = type_name('Detection'), 'their/msg/Lamp'
    store.register(get_types_from_msg('float32 score\n', older))
    store.register(get_types_from_msg('float32 power\n', unknown))
    with Writer(tmp_path / 'bag', version=9, storage_plugin=SQLITE3) as writer:
        for name in (older, unknown):
            connection = writer.add_connection(f'/{name[:5]}', name, typestore=store)
            data = store.serialize_cdr(store.types[name](1.0), name)
            writer.write(connection, BEGIN_NS, data)
        connection = writer.add_connection('/chatter', STRING, typestore=store)
        writer.write(connection, BEGIN_NS, cdr('hello'))
        writer.write(connection, BEGIN_NS + 1, b'\0\1\0\0\xff')  # what cannot be told stays bytes
    summary = replay(graph, tmp_path / 'bag')
    assert summary['published']['/chatter'] == 2
    assert summary['skipped'] == {
        '/visio': {f'{older} has other fields here than in the bag': 1},
        '/their': {f'type {unknown} is not known here': 1},
    }


def test_a_bag_of_ros_1_is_played_under_other_names(graph: Any, tmp_path: Path) -> None:
    bag = write_rosbag1(tmp_path / 'old.bag')
    watch = graph.observer.watch('/chatter', Image, RELIABLE)
    summary = replay(
        graph, bag, '--exclude', '/log', '--rate', 4,
        '--wait-for-subscribers', 600, '--wait-topics', '/camera/*',
        '--remap', '/camera/image_raw:=/chatter', '/chatter:=/camera/image_raw',
    )  # fmt: skip
    assert summary['published'] == {'/camera/image_raw': 10, '/chatter': 10}
    assert summary['skipped'] == {'/battery': {'type my_robot/msg/Battery is not known here': 10}}
    watch.wait(lambda _: len(watch.messages) == 10)
    assert [m.data[0] for m in watch.messages] == list(range(10))
    assert all(m.header.frame_id == 'camera' for m in watch.messages)
