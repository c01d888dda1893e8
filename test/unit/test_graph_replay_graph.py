"""The graph of a replay is the robot's, with a player in place of the camera."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_bags import COMPRESSED_IMAGE, IMAGE, MCAP, STRING, cdr, image, write_images
from rosbags.rosbag2 import Writer

from visionscaling_ros.bags.message_types import type_name, typestore
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.graph.descriptions import NodeDescription, ProgramDescription
from visionscaling_ros.graph.options import ReplayOptions
from visionscaling_ros.graph.replay_graph import replay_graph


def parts(options: ReplayOptions) -> tuple[dict[str, NodeDescription], list[str]]:
    """The nodes by name, and the player's words."""
    *nodes, player = replay_graph(options)
    assert isinstance(player, ProgramDescription)
    assert player.ends_graph
    assert not player.respawn
    return {n.name: n for n in nodes if isinstance(n, NodeDescription)}, list(player.arguments)


def words_after(words: list[str], option: str, count: int = 1) -> list[str]:
    return words[words.index(option) + 1 : words.index(option) + 1 + count]


def test_the_nodes_take_the_images_of_the_bag_and_its_time(tmp_path: Path) -> None:
    bag = write_images(tmp_path / 'bag', {'/front/image': IMAGE})
    nodes, words = parts(ReplayOptions(bag=str(bag), rate='2', start='0.5', policy='fixed'))
    assert 'camera_node' not in nodes
    inference = nodes['inference_node']
    assert ('image_raw', '/front/image') in inference.remappings
    assert inference.parameters['inference_node'] == {
        'use_sim_time': True, 'image_transport': 'raw',
    }  # fmt: skip
    assert nodes['controller_node'].parameters['controller_node']['policy'] == 'fixed'
    assert words[:2] == ['replay', str(bag.resolve())]
    assert words_after(words, '--topics') == ['/front/image']
    assert (words_after(words, '--rate'), words_after(words, '--start')) == (['2'], ['0.5'])
    assert '--clock' in words
    assert words_after(words, '--wait-topics') == ['/front/image']
    assert not {'--remap', '--loop', '--duration'} & set(words)


def test_compressed_images_under_any_name_reach_the_nodes(tmp_path: Path) -> None:
    bag = write_images(tmp_path / 'bag', {'/jpeg': COMPRESSED_IMAGE})
    nodes, words = parts(ReplayOptions(bag=str(bag), loop=True))
    assert nodes['inference_node'].parameters['inference_node']['image_transport'] == 'compressed'
    assert ('image_raw/compressed', '/jpeg/compressed') in nodes['inference_node'].remappings
    assert words_after(words, '--remap') == ['/jpeg:=/jpeg/compressed']
    assert '--loop' in words


@pytest.mark.parametrize('namespace', ['', 'r2', '/r2/'])
def test_ground_truth_goes_where_the_nodes_listen(tmp_path: Path, namespace: str) -> None:
    stamp_ns = 10**18
    with Writer(tmp_path / 'bag', version=9, storage_plugin=MCAP) as writer:
        for topic, kind, data in (
            ('/r1/image_raw', IMAGE, typestore().serialize_cdr(image(stamp_ns), IMAGE)),
            ('/r1/ground_truth', type_name('FrameResult'), b'any'),
            ('/chatter', STRING, cdr('x')),
        ):
            connection = writer.add_connection(topic, kind, typestore=typestore())
            writer.write(connection, stamp_ns, data)
    options = ReplayOptions(bag=str(tmp_path / 'bag'), namespace=namespace, topics='/chatter')
    _, words = parts(options)
    played = words_after(words, '--topics', 3)
    assert played == ['/r1/image_raw', '/r1/ground_truth', '/chatter']
    own = '/r2/ground_truth' if namespace else '/ground_truth'
    assert words_after(words, '--remap') == [f'/r1/ground_truth:={own}']


def test_what_cannot_be_replayed_is_refused(tmp_path: Path) -> None:
    two = write_images(tmp_path / 'two', {'/left': IMAGE, '/right': IMAGE})
    for options, said in (
        (ReplayOptions(), 'the bag to replay'),
        (ReplayOptions(bag=str(tmp_path / 'none')), 'does not exist'),
        (ReplayOptions(bag=str(two)), '/left (3 images), /right (3 images)'),
        (ReplayOptions(bag=str(two), image_topic='/up'), 'image_topic'),
    ):
        with pytest.raises(InvalidValueError) as caught:
            replay_graph(options)
        assert said in str(caught.value)
    assert ReplayOptions(start='0').start == '0'
    for name in ('rate', 'start', 'duration'):
        with pytest.raises(InvalidValueError, match=name):
            ReplayOptions(**{name: '-1'})
    nodes, _ = parts(ReplayOptions(bag=str(two), image_topic='right'))
    assert ('image_raw', '/right') in nodes['inference_node'].remappings
