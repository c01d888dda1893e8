"""The robot's nodes on the images of a bag."""

from __future__ import annotations

import signal
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from graph_harness import TIMEOUT_S
from made_bags import BEGIN_NS, COMPRESSED_IMAGE, IMAGE, write_images
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from visionscaling_ros.msg import FrameResult, SlotDecision

from visionscaling_ros.message_reading import stamp_to_ns
from visionscaling_ros.vision.catalog import built_in_catalog

CLI = 'from visionscaling_ros.cli.main import main; raise SystemExit(main())'
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


@pytest.mark.parametrize(
    ('topic', 'kind', 'namespace', 'more'),
    [
        ('/front/image_color', IMAGE, '', ('--rate', '5')),
        ('/front/jpeg', COMPRESSED_IMAGE, 'drone1', ('--loop',)),
    ],
)
def test_the_robots_nodes_decide_on_the_images_of_a_bag(
    graph: Any, tmp_path: Path, topic: str, kind: str, namespace: str, more: tuple[str, ...]
) -> None:
    count = 1200 if '--rate' in more else 10  # 8 s at 5x: time for many slots
    bag = write_images(tmp_path / 'bag', {topic: kind}, count=count)
    prefix = f'/{namespace}' if namespace else ''
    results = graph.observer.watch(f'{prefix}/frame_result', FrameResult, RELIABLE)
    decisions = graph.observer.watch(f'{prefix}/slot_decision', SlotDecision, RELIABLE)
    robot = start(
        graph, 'up', 'replay', '--bag', bag, '--params-file', write_parameters(tmp_path),
        '--namespace', namespace, *more,
    )  # fmt: skip
    processed = FrameResult.STATUS_PROCESSED
    results.wait(lambda m: m.status == processed, 3 * TIMEOUT_S)
    if '--loop' in more:
        clock = graph.observer.watch('/clock', Clock, RELIABLE)
        clock.wait(lambda _: len({stamp_to_ns(m.clock) for m in clock.messages}) > 5)
        loops = len(results.messages) // count + 3
        results.wait(lambda _: len(results.messages) > loops * count // 2)
        first = decisions.wait().slot
        decisions.wait(lambda m: m.slot >= first + 4)  # slots go on whatever the clock does
        robot.send(signal.SIGINT)
    else:
        decisions.wait(lambda m: m.allocations)
    assert robot.wait(2 * TIMEOUT_S) == 0, robot.output
    stamps = {stamp_to_ns(m.header.stamp) for m in results.messages}
    assert stamps <= {BEGIN_NS + round(n / 30 * 1e9) for n in range(count)}
    assert 'callback failed' not in robot.output
    slots = [m.slot for m in decisions.messages]
    assert slots == sorted(slots)


def test_of_several_cameras_the_graph_asks_for_one(graph: Any, tmp_path: Path) -> None:
    bag = write_images(tmp_path / 'bag', {'/left': IMAGE, '/right': IMAGE})
    robot = start(graph, 'up', 'replay', '--bag', bag)
    assert robot.wait(TIMEOUT_S) == 2
    assert '/left (3 images), /right (3 images)' in robot.output
    assert start(graph, 'up', 'replay').wait(TIMEOUT_S) == 2
