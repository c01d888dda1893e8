"""The robot's nodes on the images of a bag."""

from __future__ import annotations

import signal
import sys
import textwrap
from pathlib import Path
from typing import Any

from graph_harness import TIMEOUT_S
from made_bags import BEGIN_NS, COMPRESSED_IMAGE, IMAGE, write_images
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from visionscaling_ros.msg import FrameResult, SlotDecision

from visionscaling_ros.message_reading import stamp_to_ns
from visionscaling_ros.vision.catalog import built_in_catalog

CLI = 'from visionscaling_ros.cli.main import main; raise SystemExit(main())'
COUNT = 20  # images
STAMPS_NS = {BEGIN_NS + round(number / 30 * 1e9) for number in range(COUNT)}
RELIABLE = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)


def start(graph: Any, *words: Any) -> Any:
    return graph.run(sys.executable, '-c', CLI, *map(str, words))


def write_parameters(folder: Path) -> Path:
    """A small model, so that the nodes are ready soon."""
    sizes_px = list(built_in_catalog().entry('vsdet_n').input_sizes_px[:2])
    path = folder / 'nodes.yaml'
    path.write_text(
        textwrap.dedent(f"""
        /**/inference_node:
          ros__parameters:
            {{models: [vsdet_n], input_sizes_px: {sizes_px}, safe_model: vsdet_n,
              safe_input_size_px: {sizes_px[0]}}}
        /**/controller_node:
          ros__parameters: {{slot_duration_s: 0.3}}
        """)
    )
    return path


def test_the_graph_begins_when_images_are_listened_to_and_ends_with_the_bag(
    graph: Any, tmp_path: Path
) -> None:
    bag = write_images(tmp_path / 'bag', {'/front/jpeg': COMPRESSED_IMAGE}, count=COUNT)
    robot = start(
        graph, 'up', 'replay', '--bag', bag, '--params-file', write_parameters(tmp_path),
        '--rate', 5,
    )  # fmt: skip
    assert robot.wait(4 * TIMEOUT_S) == 0, robot.output
    told = next(line for line in robot.output.splitlines() if '/front/jpeg/compressed' in line)
    assert str(COUNT) in told.split()  # played; before, that nobody listens would have been told
    assert 'operating points ready' in robot.output
    assert 'callback failed' not in robot.output


def test_the_robots_nodes_decide_in_a_loop_whatever_the_clock_does(
    graph: Any, tmp_path: Path
) -> None:
    bag = write_images(tmp_path / 'bag', {'/front/image_color': IMAGE}, count=COUNT)
    results = graph.observer.watch('/drone1/frame_result', FrameResult, RELIABLE)
    decisions = graph.observer.watch('/drone1/slot_decision', SlotDecision, RELIABLE)
    clock = graph.observer.watch('/clock', Clock, RELIABLE)
    robot = start(
        graph, 'up', 'replay', '--bag', bag, '--params-file', write_parameters(tmp_path),
        '--namespace', 'drone1', '--loop',
    )  # fmt: skip
    results.wait(lambda m: m.status == FrameResult.STATUS_PROCESSED, 3 * TIMEOUT_S)
    clock.wait(lambda _: len({stamp_to_ns(m.clock) for m in clock.messages}) > 5)
    loops = len(results.messages) // COUNT + 3
    results.wait(lambda _: len(results.messages) > loops * COUNT // 2)
    first = decisions.wait(lambda m: m.allocations).slot
    decisions.wait(lambda m: m.slot >= first + 4)
    robot.send(signal.SIGINT)
    assert robot.wait(2 * TIMEOUT_S) == 0, robot.output
    assert {stamp_to_ns(m.header.stamp) for m in results.messages} <= STAMPS_NS
    assert 'callback failed' not in robot.output
    slots = [m.slot for m in decisions.messages]
    assert slots == sorted(slots)


def test_of_several_cameras_the_graph_asks_for_one(graph: Any, tmp_path: Path) -> None:
    bag = write_images(tmp_path / 'bag', {'/left': IMAGE, '/right': IMAGE})
    robot = start(graph, 'up', 'replay', '--bag', bag)
    assert robot.wait(TIMEOUT_S) == 2
    assert '/left (3 images), /right (3 images)' in robot.output
    assert start(graph, 'up', 'replay').wait(TIMEOUT_S) == 2
