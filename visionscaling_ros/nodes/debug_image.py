"""The annotated image: what was found, by what and where; made only while someone listens."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from sensor_msgs.msg import CompressedImage, Image

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.errors import ImageFormatError
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.conversions import bgr_to_image, make_header, to_byte_array
from visionscaling_ros.nodes.managed_node import ManagedNode
from visionscaling_ros.pipeline.frame import FrameFate
from visionscaling_ros.pipeline.newest_worker import NewestWorker
from visionscaling_ros.vision.annotation import ALARM_BGR, COLOURS_BGR, annotate
from visionscaling_ros.vision.jpeg import encode_jpeg

WINDOW_S = 1.0  # of the rates shown
PATIENCE_S = 0.5  # a dropped frame is shown when none was processed for so long
JPEG_QUALITY = 80
JPEG_FORMAT = 'bgr8; jpeg compressed bgr8'  # as image_transport has it


class Picture(NamedTuple):
    """A frame to draw, and what happened around it."""

    fate: FrameFate
    words: str


class DebugImage:
    """Publishes annotated frames, the newest only, from a thread that lives while one listens.

    Nothing is drawn and no frame is kept while nobody does. Made while the node is configured.

    :param node: the node whose image it is.
    """

    def __init__(self, node: ManagedNode) -> None:
        qos = topics.IMAGE_PUBLISHER_QOS
        self._images = node.advertise(Image, topics.DEBUG_IMAGE, qos)
        self._compressed = node.advertise(CompressedImage, topics.DEBUG_IMAGE_COMPRESSED, qos)
        self._lock = threading.Lock()
        self._painter: _Painter | None = None
        self._fates: deque[tuple[float, bool]] = deque()  # when, and whether it was processed
        self.made = 0

    def look(self) -> None:
        """See whether someone listens; called now and then."""
        publishers = self._images, self._compressed
        listened = any(publisher.get_subscription_count() for publisher in publishers)
        if listened and self._painter is None:
            painter = _Painter(self._publish)
            painter.start()
            self._painter = painter
        elif not listened and self._painter is not None:
            self.stop()

    def stop(self) -> None:
        """Publish no more, until someone is seen to listen."""
        painter, self._painter = self._painter, None
        if painter is not None:
            painter.stop()
        with self._lock:
            self._fates.clear()

    def take(self, fate: FrameFate, *, fallback: bool) -> None:
        """Take what became of a frame (any thread); a glance while nobody listens."""
        painter = self._painter
        if painter is None:
            return
        now_s = time.monotonic()
        with self._lock:
            self._fates.append((now_s, fate.processed))
            while self._fates[0][0] < now_s - WINDOW_S:
                self._fates.popleft()
            processed_s = [at_s for at_s, processed in self._fates if processed]
            dropped = len(self._fates) - len(processed_s)
        if not fate.processed and processed_s and now_s - processed_s[-1] < PATIENCE_S:
            return
        words = f'{len(processed_s) / WINDOW_S:.0f} fps  {dropped / WINDOW_S:.0f} dropped/s'
        painter.put(Picture(fate, f'{words}  no decision: safe point' if fallback else words))

    def _publish(self, picture: Picture) -> None:
        frame = picture.fate.frame
        try:
            image_bgr = draw(picture)
        except ImageFormatError:
            return  # dropped for it, and told so
        self.made += 1
        header = make_header(frame.stamp_ns, frame.frame_id)
        if self._images.get_subscription_count():
            self._images.publish(bgr_to_image(image_bgr, header))
        if self._compressed.get_subscription_count():
            data = to_byte_array(encode_jpeg(image_bgr, JPEG_QUALITY))
            message = CompressedImage(header=header, format=JPEG_FORMAT, data=data)
            self._compressed.publish(message)


class _Painter(NewestWorker[Picture]):
    def __init__(self, publish: Callable[[Picture], None]) -> None:
        super().__init__('debug_image')
        self._publish = publish

    def work(self, item: Picture) -> None:
        self._publish(item)


def draw(picture: Picture) -> ImageArray:
    """The annotated image (H, W, 3), BGR; raises ImageFormatError."""
    fate = picture.fate
    allocation, reason = fate.frame.allocation, fate.drop_reason
    what = f'{allocation.model}@{allocation.input_size_px}' if allocation is not None else ''
    if reason is not None:
        first, colour_bgr = f'DROPPED {reason.value}  {what}', ALARM_BGR
    else:
        origin = fate.origin
        first = f'{what} {origin.name.lower()}  {1e3 * fate.latency_s:.0f} ms'
        colour_bgr = COLOURS_BGR[origin]
    lines = first, f'{picture.words}  slot {fate.frame.slot}'
    return annotate(
        fate.frame.decode(), fate.detections, fate.class_names, colour_bgr, lines
    )
