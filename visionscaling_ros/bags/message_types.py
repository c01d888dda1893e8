"""Message types of this package and of the ROS it runs on, for reading and writing bags."""

from __future__ import annotations

from functools import lru_cache

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from visionscaling_ros.installed import PACKAGE, share_directory


def type_name(message: str) -> str:
    """Full name of a message of this package, such as ``visionscaling_ros/msg/SlotState``."""
    return f'{PACKAGE}/msg/{message}'


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Types of ROS 2 Jazzy and of this package; raises VisionScalingError."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for path in sorted((share_directory() / 'msg').glob('*.msg')):
        store.register(get_types_from_msg(path.read_text(encoding='utf-8'), type_name(path.stem)))
    return store
