"""The image topic as inference_node takes it: raw or compressed, with its losses noticed."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.message_reading import stamp_to_ns
from visionscaling_ros.nodes.compat import (
    SubscriptionEventCallbacks,
    publication_number,
    with_message_info,
)
from visionscaling_ros.nodes.managed_node import ManagedNode
from visionscaling_ros.nodes.topics import (
    IMAGE_COMPRESSED,
    IMAGE_RAW,
    IMAGE_SUBSCRIBER_QOS,
    reliable,
)
from visionscaling_ros.vision.image_formats import to_bgr
from visionscaling_ros.vision.jpeg import decode_jpeg

SILENCE_S = 3.0  # no image for this long is worth a warning

Accept = Callable[[Callable[[], ImageArray], int, str], object]


class ImageInput:
    """Subscribes to images and hands each on, undecoded.

    :param transport: ``raw`` (sensor_msgs/Image on image_raw) or ``compressed``
        (sensor_msgs/CompressedImage on image_raw/compressed).
    :param reliability: ``best_effort`` or ``reliable``.
    :param accept: takes (decode, stamp [ns], frame_id).
    """

    def __init__(
        self, node: ManagedNode, transport: str, reliability: str, accept: Accept
    ) -> None:
        self._node = node
        self._accept = accept
        self._last_number: int | None = None
        self._last_image_s = time.monotonic()
        self._incompatible = ''
        self.lost = 0
        message_type = Image if transport == 'raw' else CompressedImage
        topic = IMAGE_RAW if transport == 'raw' else IMAGE_COMPRESSED
        self._decoder = decode_image if transport == 'raw' else decode_compressed
        self._subscription = node.create_subscription(
            message_type,
            topic,
            with_message_info(self._on_image),
            IMAGE_SUBSCRIBER_QOS if reliability == 'best_effort' else reliable(1),
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible),
        )

    def close(self) -> None:
        """Stop receiving."""
        self._node.destroy_subscription(self._subscription)

    def trouble(self) -> str:
        """Why no image arrives, in words; empty while images arrive."""
        if time.monotonic() - self._last_image_s < SILENCE_S:
            return ''
        topic = self._subscription.topic_name
        if self._incompatible:
            return f'no image from {topic}: {self._incompatible}'
        if self._node.count_publishers(topic) == 0:
            return f'no image: nobody publishes {topic}'
        return (
            f'no image from {topic} although somebody publishes it: the camera stands still, or '
            'the middleware loses large messages (see "Images over DDS" in the README)'
        )

    def _on_image(self, message: Any, info: Any) -> None:
        self._last_image_s = time.monotonic()
        self._incompatible = ''
        self._count_losses(publication_number(info))
        if self._node.active:
            self._accept(
                partial(self._decoder, message),
                stamp_to_ns(message.header.stamp),
                message.header.frame_id,
            )

    def _count_losses(self, number: int | None) -> None:
        last, self._last_number = self._last_number, number
        if number is not None and last is not None and number > last + 1:
            self.lost += number - last - 1
            self._node.warn(
                'lost images',
                f'{self.lost} images were lost between camera and {self._node.get_name()} so far '
                '(see "Images over DDS" in the README)',
            )

    def _on_incompatible(self, event: Any) -> None:
        self._incompatible = (
            'its publisher offers less than this subscription asks for (QoS): set '
            'image_reliability to best_effort, or make the publisher reliable'
        )
        self._node.warn('qos', f'{self._subscription.topic_name}: {self._incompatible}')


def decode_image(message: Image) -> ImageArray:
    """BGR array (H, W, 3) of an Image; raises ImageFormatError."""
    return to_bgr(
        message.data,
        height_px=message.height,
        width_px=message.width,
        step=message.step,
        encoding=message.encoding,
    )


def decode_compressed(message: CompressedImage) -> ImageArray:
    """BGR array (H, W, 3) of a CompressedImage; raises ImageFormatError."""
    return decode_jpeg(np.frombuffer(message.data, np.uint8))
