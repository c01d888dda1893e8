"""Publishes the frames of a camera, a video, a folder of images or a synthetic street."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from visionscaling_ros import msg
from visionscaling_ros.datatypes import Detections, ImageArray
from visionscaling_ros.message_reading import NANOSECONDS
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.camera_info import load_camera_info
from visionscaling_ros.nodes.capture import Capture, CaptureState
from visionscaling_ros.nodes.conversions import (
    bgr_to_image,
    detections_to_msgs,
    make_header,
    to_byte_array,
)
from visionscaling_ros.nodes.managed_node import ERROR, OK, WARN, ManagedNode, run_nodes
from visionscaling_ros.nodes.parameters import Parameter
from visionscaling_ros.vision.jpeg import encode_jpeg
from visionscaling_ros.vision.scene.class_names import CLASS_NAMES
from visionscaling_ros.vision.sources import Frame, open_source

SILENCE_S = 3.0  # an open source without a frame for this long is an error
REOPENING = {'source', 'width_px', 'height_px', 'loop', 'seed', 'reconnect_period_s'}

Consumer = Callable[[ImageArray, int, str, Detections | None], None]

PARAMETERS = (
    Parameter(
        'source',
        'synthetic',
        "'synthetic' (a street scene with ground truth), a device index, device, video file, "
        'folder of images, RTSP URL or GStreamer pipeline',
    ),
    Parameter('width_px', 640, 'Width to ask a camera for, or to draw', 'px', 64, 8192),
    Parameter('height_px', 480, 'Height to ask a camera for, or to draw', 'px', 64, 8192),
    Parameter('rate_fps', 0.0, "Frames a second; 0: the source's own rate", '1/s', 0.0, 1000.0),
    Parameter('loop', True, 'Start files and folders again at their end'),
    Parameter('seed', 0, 'Which synthetic street', '', 0, 2**31 - 1),
    Parameter('frame_id', 'camera', 'frame_id of the images'),
    Parameter('camera_info_url', '', 'Calibration file, YAML; empty: none'),
    Parameter('reconnect_period_s', 2.0, 'How often a lost source is tried', 's', 0.1, 60.0),
    Parameter(
        'stamp_source',
        'clock',
        "clock: images are stamped when they were captured; source: by the driver's or the "
        "file's own time, from the time of the first one on",
        choices=('clock', 'source'),
    ),
    Parameter(
        'image_transport',
        'raw',
        'Image on image_raw, or CompressedImage on image_raw/compressed',
        choices=('raw', 'compressed'),
        read_only=True,
    ),
    Parameter('jpeg_quality', 90, 'JPEG quality of compressed images', '%', 10, 100),
)


class CameraNode(ManagedNode):
    """A capture thread behind topics.

    ``consumer``, when set, takes every frame in memory, in the capture thread: (BGR image, stamp
    [ns], frame_id, ground truth or None). Messages are built only while somebody subscribes.
    """

    def __init__(self) -> None:
        self.consumer: Consumer | None = None
        self._capture: Capture | None = None
        self._camera_info: CameraInfo | None = None
        self._source_offset_ns = 0
        self._source_s = math.inf
        self._before = (0, 0.0)
        super().__init__('camera_node', PARAMETERS)

    def check_parameters(self, values: Mapping[str, Any]) -> None:
        """A calibration must be readable."""
        if values['camera_info_url']:
            load_camera_info(values['camera_info_url'])

    def on_parameters_changed(self, names: set[str]) -> None:
        """Follow the rate at once; open the source anew for anything that concerns it."""
        if 'camera_info_url' in names:
            self._load_camera_info()
        if self._capture is None:
            return
        if names & REOPENING:
            self._capture.stop()
            self._start_capture()
        elif 'rate_fps' in names:
            self._capture.set_rate(self.parameters['rate_fps'])

    def configure(self) -> None:
        """Open the topics, read the calibration."""
        self._load_camera_info()
        publish = self.advertise
        self._compressed = self.parameters['image_transport'] == 'compressed'
        self._image_publisher = (
            publish(CompressedImage, topics.IMAGE_COMPRESSED, topics.IMAGE_PUBLISHER_QOS)
            if self._compressed
            else publish(Image, topics.IMAGE_RAW, topics.IMAGE_PUBLISHER_QOS)
        )
        self._info_publisher = publish(CameraInfo, topics.CAMERA_INFO, topics.IMAGE_PUBLISHER_QOS)
        self._truth_publisher = publish(msg.FrameResult, topics.GROUND_TRUTH, topics.RESULT_QOS)

    def activate(self) -> None:
        """Start capturing."""
        self._start_capture()

    def deactivate(self) -> None:
        """Stop capturing."""
        if self._capture is not None:
            self._capture.stop()
            self._capture = None

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """Whether frames come, and how many."""
        capture = self._capture
        if capture is None:
            return ERROR, 'not working', {}
        source = self.parameters['source']
        now_s, (frames_before, before_s) = time.monotonic(), self._before
        self._before = (capture.frames, now_s)
        values: dict[str, object] = {
            'source': source,
            'state': capture.state.value,
            'frames': capture.frames,
            'rate_fps': max(0, capture.frames - frames_before) / (now_s - before_s),
            'skipped': capture.skipped,
        }
        silent_s = now_s - capture.last_frame_s
        if capture.state == CaptureState.LOST:
            return ERROR, capture.trouble, values
        if capture.state == CaptureState.FINISHED:
            return OK, f'{source}: finished', values
        if silent_s > max(SILENCE_S, 3.0 / (self.parameters['rate_fps'] or math.inf)):
            return ERROR, f'{source}: no frame for {silent_s:.0f} s', values
        if capture.state == CaptureState.OPENING:
            return WARN, f'{source}: opening', values
        return OK, 'running', values

    def _load_camera_info(self) -> None:
        url = self.parameters['camera_info_url']
        self._camera_info = load_camera_info(url) if url else None

    # Capturing.

    def _start_capture(self) -> None:
        values = self.parameters
        self._source_s = math.inf
        self._before = (0, time.monotonic())
        self._capture = Capture(
            partial(
                open_source,
                values['source'],
                width_px=values['width_px'],
                height_px=values['height_px'],
                rate_fps=values['rate_fps'],
                loop=values['loop'],
                seed=values['seed'],
            ),
            rate_fps=values['rate_fps'],
            reconnect_period_s=values['reconnect_period_s'],
            on_frame=self._on_frame,
            on_change=self._on_change,
        )

    def _on_change(self, state: CaptureState, trouble: str) -> None:
        logger = self.get_logger()
        if state == CaptureState.LOST:
            period_s = self.parameters['reconnect_period_s']
            logger.error(f'{trouble}; trying again every {period_s:g} s')
        elif state == CaptureState.FINISHED:
            logger.info(f'{self.parameters["source"]}: finished')
        else:
            logger.info(f'{self.parameters["source"]}: {state.value}')

    def _on_frame(self, frame: Frame) -> None:
        stamp_ns, frame_id = self._stamp_ns(frame), self.parameters['frame_id']
        if self.consumer is not None:
            self.consumer(frame.image_bgr, stamp_ns, frame_id, frame.truth)
        header = make_header(stamp_ns, frame_id)
        if frame.truth is not None and self._truth_publisher.get_subscription_count():
            self._truth_publisher.publish(truth_to_msg(frame.truth, frame.image_bgr, header))
        if self._camera_info is not None and self._info_publisher.get_subscription_count():
            self._publish_info(self._camera_info, frame.image_bgr, header)
        if self._image_publisher.get_subscription_count():
            self._image_publisher.publish(self._image_msg(frame.image_bgr, header))

    def _stamp_ns(self, frame: Frame) -> int:
        now_ns = self.get_clock().now().nanoseconds
        if self.parameters['stamp_source'] == 'clock' or frame.stamp_s is None:
            return now_ns
        source_ns = round(frame.stamp_s * NANOSECONDS)
        if frame.stamp_s < self._source_s:  # the first frame, or a file that starts again
            self._source_offset_ns = now_ns - source_ns
        self._source_s = frame.stamp_s
        return self._source_offset_ns + source_ns

    def _image_msg(self, image_bgr: ImageArray, header: Header) -> Image | CompressedImage:
        if not self._compressed:
            return bgr_to_image(image_bgr, header)
        jpeg = encode_jpeg(image_bgr, self.parameters['jpeg_quality'])
        return CompressedImage(
            header=header, format='bgr8; jpeg compressed bgr8', data=to_byte_array(jpeg)
        )

    def _publish_info(self, info: CameraInfo, image_bgr: ImageArray, header: Header) -> None:
        height_px, width_px = image_bgr.shape[:2]
        if (info.width, info.height) != (width_px, height_px):
            self.warn(
                'calibration',
                f'{self.parameters["camera_info_url"]} is for {info.width}x{info.height} px, '
                f'the images are {width_px}x{height_px} px',
            )
        info.header = header
        self._info_publisher.publish(info)


def truth_to_msg(truth: Detections, image_bgr: ImageArray, header: Header) -> msg.FrameResult:
    """Ground truth of an image as the result of a perfect detector."""
    height_px, width_px = image_bgr.shape[:2]
    return msg.FrameResult(
        header=header,
        status=msg.FrameResult.STATUS_PROCESSED,
        model='ground_truth',
        image_width_px=width_px,
        image_height_px=height_px,
        detections=detections_to_msgs(truth, CLASS_NAMES),
    )


def main() -> None:
    """Run the node until it is told to stop."""
    run_nodes(CameraNode)


if __name__ == '__main__':
    main()
