"""A report of a bag: its runs, what beside the slots is in it, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from visionscaling_ros.bags.bag_reader import BagReader
from visionscaling_ros.bags.message_types import typestore
from visionscaling_ros.cli.main import main
from visionscaling_ros.review.recorded_run import FRAME_RESULT, SLOT_STATE

pytest.importorskip('bokeh')
recorded_bags = pytest.importorskip('recorded_bags')  # needs rclpy
side_bags = pytest.importorskip('side_bags')

SLOTS = 15


def report_of(bag: Path, folder: Path, *options: str) -> str:
    out = folder / 'report.html'
    assert main(['report', str(bag), '--out', str(out), *options]) == 0
    return out.read_text(encoding='utf-8')


def test_every_robot_of_a_bag_or_the_one_asked_for(tmp_path: Path) -> None:
    bag = side_bags.write_whole_run(
        tmp_path / 'bag', namespaces=('/drone1', '/drone2'), slots=SLOTS
    )
    both = report_of(bag, tmp_path)
    assert both.count('<section ') == 2
    assert 'ran on /drone1 for 15 s' in both
    one = report_of(bag, tmp_path, '--namespace', '/drone2')
    assert one.count('<section ') == 1
    assert '/drone1' not in one


def test_every_bag_in_the_folder_of_a_run(tmp_path: Path) -> None:
    for name in ('run', 'baseline'):
        recorded_bags.write_run(tmp_path / name, slots=SLOTS)
    text = report_of(tmp_path, tmp_path)
    assert '<h2>baseline: The robot</h2>' in text
    assert '<h2>run: The robot</h2>' in text


def test_messages_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    whole = recorded_bags.write_run(tmp_path / 'whole', slots=SLOTS)
    damaged = tmp_path / 'damaged'
    with (
        BagReader(whole) as bag,
        Writer(damaged, version=9, storage_plugin=StoragePlugin.MCAP) as writer,
    ):
        connections = {
            topic.name: writer.add_connection(topic.name, topic.message_type, typestore=typestore())
            for topic in bag.topics
        }
        frames = writer.add_connection('/frame_result', FRAME_RESULT, typestore=typestore())
        cut = 0
        for message in bag.messages():
            cut += message.message_type == SLOT_STATE
            whole_until = 60 if message.message_type == SLOT_STATE and cut == 5 else None
            data = message.data[:whole_until]
            writer.write(connections[message.topic], message.log_ns, data)
        for length in (0, 3, 40):
            writer.write(frames, bag.end_ns, b'\x00\x01\x00\x00' + b'\xff' * length)
    text = report_of(damaged, tmp_path)
    assert '1 message of /slot_state could not be read.' in text
    assert '3 messages of /frame_result could not be read.' in text
    assert '1 slot was not recorded (the first is number 4)' in text


def test_a_bag_without_a_run_is_an_error_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = recorded_bags.write_run(tmp_path / 'bag', slots=SLOTS)
    out = tmp_path / 'report.html'
    arguments = ['report', str(bag), '--out', str(out), '--namespace', '/nobody']
    assert main(arguments) == 2
    assert '/nobody' in capsys.readouterr().err
    assert not out.exists()
