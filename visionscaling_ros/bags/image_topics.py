"""Which camera of a bag is replayed, and how its images come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from visionscaling_ros.bags.playback_topics import is_input
from visionscaling_ros.bags.stored import BagTopic
from visionscaling_ros.bags.topic_choice import COMPRESSED_IMAGE, IMAGE
from visionscaling_ros.bags.topic_names import absolute
from visionscaling_ros.errors import InvalidValueError

SUFFIX = '/compressed'  # of image_transport
NOT_PICTURES = ('/compressedDepth', '/theora', '/ffmpeg')
RAW, COMPRESSED = 'raw', 'compressed'


@dataclass(frozen=True)
class ImageTopic:
    """The images of a camera in a bag.

    :param name: topic in the bag.
    :param base: topic of its raw images, whether they are in the bag or not.
    :param transport: ``raw`` or ``compressed``.
    """

    name: str
    base: str
    transport: str
    count: int

    @property
    def published_name(self) -> str:
        """The name that image_transport would give it."""
        return self.base + (SUFFIX if self.transport == COMPRESSED else '')


def choose_images(topics: Sequence[BagTopic], asked: str = '', transport: str = '') -> ImageTopic:
    """The camera asked for, by either of its topics; or the only one.

    Raw images are preferred where the bag has both kinds.

    :param transport: ``raw`` or ``compressed``; '' for what there is.
    :raises InvalidValueError: there is none such, or several; lists them.
    """
    found = [image for image in _images(topics) if transport in ('', image.transport)]
    listed = ', '.join(f'{image.name} ({image.count} images)' for image in found)
    allowed = f'a topic of images in the bag: {listed or "it has none"}'
    if asked:
        name = absolute(asked)
        exact = [i for i in found if i.name == name]
        of_base = [i for i in found if i.base == name]
        if not exact + of_base:
            raise InvalidValueError('image_topic', asked, allowed)
        return (exact + of_base)[0]
    if len({image.base for image in found}) != 1:
        raise InvalidValueError('image_topic', asked, allowed)
    return found[0]


def _images(topics: Sequence[BagTopic]) -> list[ImageTopic]:
    """Topics of images with messages, raw ones first."""
    raw, compressed = [], []
    for topic in topics:
        name = absolute(topic.name)
        if not topic.count or not is_input(topic) or name.endswith(NOT_PICTURES):
            continue
        if topic.message_type == IMAGE:
            raw.append(ImageTopic(name, name, RAW, topic.count))
        elif topic.message_type == COMPRESSED_IMAGE:
            base = name.removesuffix(SUFFIX)
            compressed.append(ImageTopic(name, base, COMPRESSED, topic.count))
    return [*raw, *compressed]
