"""Which of the topics there are a bag shall have."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from visionscaling_ros.bags.message_types import type_name
from visionscaling_ros.errors import InvalidValueError

IMAGE, COMPRESSED_IMAGE = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
GLOBAL_TOPICS = frozenset(
    ('/tf', '/tf_static', '/diagnostics', '/clock', '/parameter_events', '/rosout')
)
ON_DEMAND = 'debug_image'  # made only while someone listens: a recorder is not someone
IMAGES = {
    'raw': 'Image, and CompressedImage where its topic has no Image',
    'compressed': 'no Image',
    'all': 'Image and CompressedImage',
    'none': 'neither',
}


@dataclass(frozen=True)
class TopicChoice:
    """Topics to record, by name and type.

    :param namespaces: of robots; empty: of every robot there is.
    :param only: patterns (``*``, ``?``); if given, nothing else is taken.
    :param exclude: patterns of what is left out.
    :param everything: what is not a robot's, too.
    :param images: one of ``IMAGES``.
    """

    namespaces: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    everything: bool = False
    images: str = 'raw'

    def __post_init__(self) -> None:
        if self.images not in IMAGES:
            raise InvalidValueError('images', self.images, ', '.join(IMAGES))

    def chosen(self, found: Mapping[str, str]) -> frozenset[str]:
        """Of the topics found, by name with their type, those to record."""
        spaces = self.namespaces or tuple(robot_namespaces(found))
        return frozenset(
            topic
            for topic, message_type in found.items()
            if not _matches(topic, self.exclude)
            and (
                _matches(topic, self.only)
                if self.only
                else self._taken(topic, message_type, spaces, found)
            )
        )

    def _taken(
        self, topic: str, message_type: str, spaces: tuple[str, ...], found: Mapping[str, str]
    ) -> bool:
        if any(part.startswith('_') for part in topic.split('/')):
            return False  # hidden: services and actions
        if not self.everything and (
            f'/{ON_DEMAND}' in topic
            or not (topic in GLOBAL_TOPICS or any(map(topic.startswith, map(_prefix, spaces))))
        ):
            return False
        if message_type == IMAGE:
            return self.images in ('raw', 'all')
        if message_type == COMPRESSED_IMAGE:
            has_raw = found.get(topic.rpartition('/')[0]) == IMAGE
            return self.images in ('compressed', 'all') or (self.images == 'raw' and not has_raw)
        return True


def robot_namespaces(found: Mapping[str, str]) -> Iterator[str]:
    """Namespaces of the topics with a type of this package; a robot is where such are."""
    own = type_name('')
    yield from sorted(
        {topic.rpartition('/')[0] for topic, kind in found.items() if kind.startswith(own)}
    )


def _prefix(namespace: str) -> str:
    return '/' + ''.join(f'{part}/' for part in namespace.split('/') if part)


def _matches(topic: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(topic, pattern) for pattern in patterns)
