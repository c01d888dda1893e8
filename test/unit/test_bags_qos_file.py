"""config/rosbag2/qos_overrides.yaml says of every topic what the nodes say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip('rclpy')

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from visionscaling_ros.nodes import topics

FILE = Path(__file__).resolve().parents[2] / 'config' / 'rosbag2' / 'qos_overrides.yaml'
OF_CAMERAS = {
    topics.IMAGE_RAW,
    topics.IMAGE_COMPRESSED,
    topics.CAMERA_INFO,
    topics.DEBUG_IMAGE,
    topics.DEBUG_IMAGE_COMPRESSED,
}
QOS = {
    topics.OFFLOAD: topics.OFFLOAD_QOS,
    topics.OFFLOAD_RESULT: topics.RESULT_QOS,
    topics.GROUND_TRUTH: topics.RESULT_QOS,
    topics.FRAME_RESULT: topics.RESULT_QOS,
    topics.DETECTIONS: topics.RESULT_QOS,
    topics.INFERENCE_STATE: topics.STATE_QOS,
    topics.GPU_STATE: topics.STATE_QOS,
    topics.LINK_STATE: topics.STATE_QOS,
    topics.SLOT_STATE: topics.STATE_QOS,
    topics.SLOT_DECISION: topics.DECISION_QOS,
    topics.CONTROLLER_SETTINGS: topics.DECISION_QOS,
}


def profile(entry: dict[str, Any]) -> QoSProfile:
    """As ``ros2 bag`` reads an entry: ros2bag.api.interpret_dict_as_qos_profile."""
    from_short_name = {
        'history': HistoryPolicy.get_from_short_key,
        'reliability': ReliabilityPolicy.get_from_short_key,
        'durability': DurabilityPolicy.get_from_short_key,
    }
    return QoSProfile(
        **{key: from_short_name.get(key, lambda value: value)(v) for key, v in entry.items()}
    )


def test_every_topic_of_the_nodes_is_in_the_file_or_a_cameras() -> None:
    names = {
        value for name, value in vars(topics).items() if name.isupper() and isinstance(value, str)
    }
    in_file = {name.removeprefix('/') for name in yaml.safe_load(FILE.read_text())}
    assert in_file | OF_CAMERAS == names
    assert in_file == set(QOS)


@pytest.mark.parametrize('topic', sorted(QOS))
def test_a_topic_is_played_and_recorded_with_the_qos_of_the_nodes(topic: str) -> None:
    entry = profile(yaml.safe_load(FILE.read_text())[f'/{topic}'])
    expected = QOS[topic]
    for policy in ('history', 'depth', 'reliability', 'durability'):
        assert getattr(entry, policy) == getattr(expected, policy), policy
