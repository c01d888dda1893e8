"""Which processes replay a bag: the robot's nodes without a camera, and a player in its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from visionscaling_ros.bags.bag_reader import BagReader, BagTopic
from visionscaling_ros.bags.image_topics import choose_images
from visionscaling_ros.bags.message_types import type_name
from visionscaling_ros.bags.playback_topics import GROUND_TRUTH
from visionscaling_ros.bags.topic_names import absolute
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.graph.descriptions import ProcessDescription, ProgramDescription
from visionscaling_ros.graph.graphs import robot_graph
from visionscaling_ros.graph.options import NodeOptions, ReplayOptions, RobotOptions

PLAYER = 'bag_player'
SUBSCRIBER_WAIT_S = 120  # until inference_node has loaded and measured its models


def replay_graph(options: ReplayOptions) -> tuple[ProcessDescription, ...]:
    """The robot's nodes on the images of a bag; they end with it.

    :raises InvalidValueError: the bag cannot be read, or it is not clear which images to take.
    """
    if not options.bag:
        raise InvalidValueError('bag', options.bag, 'the bag to replay')
    path = Path(options.bag).resolve()
    with BagReader(path) as bag:
        topics = bag.topics
    images = choose_images(topics, options.image_topic, options.image_transport)
    remappings = {images.name: images.published_name}
    if truth := _ground_truth(topics, images.base):
        own = '/'.join(['', *options.namespace.strip('/').split('/'), GROUND_TRUTH])
        remappings[truth] = own.replace('//', '/')
    for name in filter(None, options.topics.split(',')):
        remappings.setdefault(absolute(name.strip()), absolute(name.strip()))
    robot = RobotOptions(
        **{
            **{item.name: getattr(options, item.name) for item in fields(NodeOptions)},
            'camera': False,
            'image_topic': images.base,
            'image_transport': images.transport,
            'server': options.server,
        }
    )
    arguments = ['replay', str(path), '--clock', '--rate', options.rate]
    arguments += ['--wait-for-subscribers', str(SUBSCRIBER_WAIT_S), '--wait-topics', images.name]
    for name in ('start', 'duration'):
        if value := getattr(options, name):
            arguments += [f'--{name}', value]
    if options.loop:
        arguments.append('--loop')
    arguments += ['--topics', *remappings]
    moved = [f'{old}:={new}' for old, new in remappings.items() if old != new]
    arguments += ['--remap', *moved] if moved else []
    player = ProgramDescription(name=PLAYER, arguments=tuple(arguments), ends_graph=True)
    return (*robot_graph(robot), player)


def _ground_truth(topics: Iterable[BagTopic], images: str) -> str:
    """The topic of what is really in the images, '' where the bag has none."""
    name = f'{images.rpartition("/")[0]}/{GROUND_TRUTH}'
    there = (t for t in topics if absolute(t.name) == name and t.count)
    return name if any(t.message_type == type_name('FrameResult') for t in there) else ''
