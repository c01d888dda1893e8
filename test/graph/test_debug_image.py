"""The annotated image: drawn while someone listens, and nothing of it otherwise."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import rclpy
from graph_harness import Graph, private_graph
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from visionscaling_ros.msg import Detection, FrameResult, InferenceState, LinkState
from visionscaling_ros.msg import SlotDecision as SlotDecisionMsg

from visionscaling_ros.datatypes import Allocation, Origin, SlotDecision
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.conversions import bgr_to_image, decision_to_msg, make_header
from visionscaling_ros.nodes.debug_image import DebugImage
from visionscaling_ros.nodes.image_input import decode_compressed, decode_image
from visionscaling_ros.nodes.managed_node import ManagedNode
from visionscaling_ros.nodes.offload_format import parse_offload_label
from visionscaling_ros.pipeline.frame import Frame, FrameFate
from visionscaling_ros.vision.annotation import ALARM_BGR, COLOURS_BGR
from visionscaling_ros.vision.catalog import built_in_catalog
from visionscaling_ros.vision.scene.street_scene import StreetScene

NODE = '/inference_node'
TOPIC = f'{NODE}/debug_image'
SIZE_PX = built_in_catalog().entry('vsdet_n').input_sizes_px[0]
ONE_MODEL = {'models': ['vsdet_n'], 'safe_model': 'vsdet_n', 'safe_input_size_px': SIZE_PX}
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
STREET_BGR = StreetScene(seed=1, width_px=320, height_px=240, fps=15.0).frame(0)[0]
BOX_PX = (150, 100, 250, 180)
FRAME_PERIOD_S = 0.1
TIMEOUT_S = 30.0


class Robot:
    """inference_node, and the test as its camera, controller and edge."""

    def __init__(self, graph: Graph) -> None:
        self.observer = graph.observer
        create = self.observer.advertise
        self._images = create(Image, topics.IMAGE_RAW, topics.IMAGE_PUBLISHER_QOS)
        self._decisions = create(SlotDecisionMsg, topics.SLOT_DECISION, topics.DECISION_QOS)
        self.results = self.observer.watch(topics.FRAME_RESULT, FrameResult, topics.reliable(100))
        self.process = graph.start(
            'inference_node', parameters={**ONE_MODEL, 'decision_timeout_s': 60.0}
        )
        self.state(lambda state: True)
        self._stamp_ns = 0
        self._camera = self.observer.every(FRAME_PERIOD_S, self._publish)

    def _publish(self) -> None:
        self._stamp_ns += 1
        self._images.publish(bgr_to_image(STREET_BGR, make_header(self._stamp_ns, 'camera')))

    def state(self, predicate: Callable[[InferenceState], object]) -> InferenceState:
        return self.observer.wait_for(
            topics.INFERENCE_STATE, InferenceState, predicate, qos=topics.STATE_QOS
        )

    def decide(self, *allocations: Allocation) -> None:
        decision = SlotDecision(7, allocations, 0.0, 0.0, 1.0 / FRAME_PERIOD_S, 'test')
        self._decisions.publish(decision_to_msg(decision, make_header(0)))

    def run_edge(self) -> None:
        """An edge that answers every frame with one box."""
        create = self.observer.advertise
        links = create(LinkState, topics.LINK_STATE, topics.STATE_QOS)
        self.observer.every(0.2, lambda: links.publish(LinkState(reachable=True)))
        answers = create(FrameResult, topics.OFFLOAD_RESULT, topics.RESULT_QOS)
        x_min, y_min, x_max, y_max = map(float, BOX_PX)
        box = Detection(class_id=1, score=0.9, x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max)

        offloads = self.observer.watch(topics.OFFLOAD, CompressedImage, topics.OFFLOAD_QOS)

        def answer() -> None:
            for offload in offloads.messages:
                label = parse_offload_label(offload.format)
                result = FrameResult(header=offload.header, frame_number=label.frame)
                result.image_width_px, result.image_height_px = label.width, label.height
                result.detections = [box]
                answers.publish(result)
            offloads.clear()

        self.observer.every(0.02, answer)

    def run_here(self) -> None:
        """Decide that every frame is processed on the robot, and wait until that is so."""
        self.decide(Allocation('vsdet_n', SIZE_PX, Origin.LOCAL, 1.0 / FRAME_PERIOD_S))
        self.results.clear()
        self.results.wait(lambda m: m.status == m.STATUS_PROCESSED and m.origin == Origin.LOCAL)

    def images_made_unheard(self) -> int:
        """How many were made, once it is no more of them while frames come."""
        deadline_s = time.monotonic() + TIMEOUT_S
        before, made = -1, self.images_made()
        while made > before:
            assert time.monotonic() < deadline_s, f'{made} images and more for nobody'
            self.pass_frames()
            before, made = made, self.images_made()
        return made

    def pass_frames(self) -> None:
        before = self.state(lambda state: True).arrived
        self.state(lambda state: state.arrived >= before + 5)

    def images_made(self, at_least: int = 0) -> int:
        """As diagnostics tell it, once it is so many."""
        made = -1

        def told(status: Any) -> bool:
            nonlocal made
            values = {value.key: value.value for value in status.values}
            made = int(values.get('debug_images', -1))
            return made >= at_least

        self.observer.wait_for_diagnostics(NODE, told)
        return made


@pytest.fixture(scope='module')
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    with private_graph(tmp_path_factory.mktemp('graph')) as private:
        yield private


@pytest.fixture(scope='module')
def robot(graph: Graph) -> Robot:
    return Robot(graph)


def is_colour(image_bgr: Any, colour_bgr: tuple[int, int, int]) -> Any:
    return np.all(image_bgr == np.array(colour_bgr, np.uint8), axis=-1)


def result_of(robot: Robot, image: Any) -> FrameResult:
    return robot.results.wait(lambda result: result.header.stamp == image.header.stamp)


def test_nothing_is_drawn_while_nobody_listens(robot: Robot) -> None:
    robot.run_here()
    made = robot.images_made_unheard()
    robot.observer.wait_for(TOPIC, Image, qos=BEST_EFFORT)  # listens until it has one
    robot.images_made(at_least=made + 1)
    robot.images_made_unheard()


def test_local_frames_show_their_boxes_on_the_image_they_are_of(robot: Robot) -> None:
    robot.run_here()
    image = robot.observer.wait_for(TOPIC, Image, qos=topics.IMAGE_PUBLISHER_QOS)
    assert (image.width, image.height, image.encoding) == (320, 240, 'bgr8')
    assert image.header.frame_id == 'camera'
    result = result_of(robot, image)
    drawn = decode_image(image)
    assert result.detections
    box = result.detections[0]
    corners = (box.x_max, 319), (box.y_max, 239)
    x_px, y_px = (min(round(value), limit) for value, limit in corners)
    assert is_colour(drawn, COLOURS_BGR[Origin.LOCAL])[y_px, x_px]
    assert not np.array_equal(drawn[y_px, x_px], STREET_BGR[y_px, x_px])
    untouched = np.all(drawn == STREET_BGR, axis=-1)
    assert 0.5 < untouched.mean() < 1.0
    assert not untouched[:10].all()  # the words
    packed = robot.observer.wait_for(f'{TOPIC}/compressed', CompressedImage, qos=BEST_EFFORT)
    assert 'jpeg' in packed.format
    assert np.abs(decode_compressed(packed).astype(int) - drawn).mean() < 10


def test_frames_of_the_edge_show_its_boxes_in_its_colour(robot: Robot) -> None:
    robot.run_edge()
    robot.decide(Allocation('vsdet_n', SIZE_PX, Origin.EDGE, 1.0 / FRAME_PERIOD_S))
    robot.state(lambda state: state.processed_edge >= 1)
    edges = robot.observer.watch(TOPIC, Image, BEST_EFFORT)
    x_min, y_min, x_max, y_max = BOX_PX
    image = edges.wait(
        lambda m: is_colour(decode_image(m), COLOURS_BGR[Origin.EDGE])[y_max, x_min:x_max].all()
    )
    drawn = decode_image(image)
    assert is_colour(drawn, COLOURS_BGR[Origin.EDGE])[y_min:y_max, x_max].all()
    inner = np.s_[y_min + 30 : y_max - 5, x_min + 5 : x_max - 5]
    assert np.array_equal(drawn[inner], STREET_BGR[inner])
    assert result_of(robot, image).origin == int(Origin.EDGE)


def test_frames_that_are_all_dropped_are_shown_as_such(robot: Robot) -> None:
    robot.decide()
    image = robot.observer.wait_for(
        TOPIC,
        Image,
        lambda m: is_colour(decode_image(m)[:20], ALARM_BGR).any(),
        qos=BEST_EFFORT,
    )
    assert result_of(robot, image).drop_reason == 'not_scheduled'


class Bare(ManagedNode):
    """A node with a debug image and nothing else."""

    debug_image: DebugImage

    def __init__(self) -> None:
        super().__init__('bare_node', ())

    def configure(self) -> None:
        self.debug_image = DebugImage(self)


@pytest.fixture
def bare(graph: Graph) -> Iterator[Bare]:
    rclpy.init()
    node = Bare()
    node.start()
    try:
        yield node
    finally:
        node.debug_image.stop()
        node.close()
        rclpy.shutdown()


def test_no_frame_is_decoded_or_kept_before_someone_listens(graph: Graph, bare: Bare) -> None:
    decoded = threading.Event()

    def fate() -> tuple[FrameFate, weakref.ref[Any]]:
        pixels = STREET_BGR.copy()

        def decode() -> Any:
            decoded.set()
            return pixels

        frame = Frame(1, 5, 'camera', 0.0, decode)
        return FrameFate(frame, 0.01), weakref.ref(pixels)

    taken, pixels = fate()
    bare.debug_image.look()
    bare.debug_image.take(taken, fallback=False)
    del taken
    gc.collect()
    assert pixels() is None
    assert not decoded.is_set()
    assert 'debug_image' not in {thread.name for thread in threading.enumerate()}

    watch = graph.observer.watch('/bare_node/debug_image', Image, BEST_EFFORT)

    def heard() -> bool:
        bare.debug_image.look()
        bare.debug_image.take(fate()[0], fallback=True)
        return bool(watch.messages)

    deadline_s = time.monotonic() + TIMEOUT_S
    while not heard():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)  # until it is matched, which nobody tells
    assert decoded.is_set()
    bare.debug_image.stop()
    assert 'debug_image' not in {thread.name for thread in threading.enumerate()}
