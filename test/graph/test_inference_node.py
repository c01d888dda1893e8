"""inference_node over real DDS: what comes in, what is decided, what comes out."""

from __future__ import annotations

from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from visionscaling_ros.msg import FrameResult, InferenceState
from visionscaling_ros.msg import SlotDecision as SlotDecisionMsg

from visionscaling_ros.datatypes import Allocation, Origin, SlotDecision
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.conversions import bgr_to_image, decision_to_msg, make_header
from visionscaling_ros.vision.catalog import built_in_catalog
from visionscaling_ros.vision.jpeg import encode_jpeg
from visionscaling_ros.vision.scene.street_scene import StreetScene

NODE = '/inference_node'
SIZE_PX, NEXT_SIZE_PX = built_in_catalog().entry('vsdet_n').input_sizes_px[:2]
ONE_MODEL = {'models': ['vsdet_n'], 'safe_model': 'vsdet_n', 'safe_input_size_px': SIZE_PX}
PROCESSED = FrameResult.STATUS_PROCESSED


def street_bgr() -> Any:
    return StreetScene(seed=1, width_px=320, height_px=240, fps=15.0).frame(0)[0]


class Robot:
    """inference_node, and the test as its camera and controller."""

    def __init__(self, graph: Any, **parameters: Any) -> None:
        self.observer = graph.observer
        create = self.observer.advertise
        self.images = create(Image, topics.IMAGE_RAW, topics.IMAGE_PUBLISHER_QOS)
        self.decisions = create(SlotDecisionMsg, topics.SLOT_DECISION, topics.DECISION_QOS)
        self.results = self.observer.watch(topics.FRAME_RESULT, FrameResult, topics.reliable(100))
        self.process = graph.start('inference_node', parameters={**ONE_MODEL, **parameters})
        self.state(lambda state: True)
        self._stamp_ns = 0

    def state(self, predicate: Any) -> InferenceState:
        return self.observer.wait_for(
            topics.INFERENCE_STATE, InferenceState, predicate, qos=topics.STATE_QOS
        )

    def send(self, image: Image) -> FrameResult:
        """Publish an image until a result for its stamp comes: best effort may lose some."""
        self._stamp_ns += 1
        image.header = make_header(self._stamp_ns, 'camera')
        wanted = image.header.stamp
        for _ in range(5):
            self.images.publish(image)
            try:
                return self.results.wait(lambda r: r.header.stamp == wanted, timeout_s=6.0)
            except AssertionError:
                continue
        raise AssertionError(f'no result for the image\n{self.process.output}')

    def decide(self, *allocations: Allocation, slot: int = 1) -> None:
        decision = SlotDecision(slot, allocations, 0.0, 0.0, 10.0, 'test')
        self.decisions.publish(decision_to_msg(decision, make_header(0)))


def test_a_frame_is_detected_and_answers_with_its_own_stamp(graph: Any) -> None:
    robot = Robot(graph)
    result = robot.send(bgr_to_image(street_bgr(), make_header(0)))
    assert result.status == PROCESSED
    assert (result.model, result.input_size_px) == ('vsdet_n', SIZE_PX)
    assert (result.image_width_px, result.image_height_px) == (320, 240)
    assert result.header.frame_id == 'camera'
    state = robot.state(lambda s: s.processed_local >= 1)
    assert state.fallback
    assert {(p.model, p.input_size_px) for p in state.operating_points} >= {('vsdet_n', SIZE_PX)}
    assert all(p.gpu_work_ghz_s > 0.0 for p in state.operating_points)


def test_a_decision_changes_what_runs_and_going_stale_brings_back_the_safe_point(
    graph: Any,
) -> None:
    robot = Robot(graph, decision_timeout_s=2.0)
    image = bgr_to_image(street_bgr(), make_header(0))
    robot.decide(Allocation('vsdet_n', NEXT_SIZE_PX, Origin.LOCAL, 10.0), slot=9)
    robot.state(lambda s: s.slot == 9 and not s.fallback)
    result = robot.send(image)
    assert (result.slot, result.input_size_px) == (9, NEXT_SIZE_PX)
    robot.decide(slot=10)
    robot.state(lambda s: s.slot == 10)
    assert robot.send(image).drop_reason == 'not_scheduled'
    robot.state(lambda s: s.fallback)
    assert robot.send(image).input_size_px == SIZE_PX
    status = robot.observer.wait_for_diagnostics(NODE, lambda s: 'no fresh' in s.message)
    assert status.level == DiagnosticStatus.WARN


def test_a_decision_for_an_unknown_model_is_refused_with_the_known_ones(graph: Any) -> None:
    robot = Robot(graph)
    robot.decide(Allocation('yolo', 320, Origin.LOCAL, 10.0))
    status = robot.observer.wait_for_diagnostics(NODE, lambda s: 'refused' in s.message)
    assert status.level == DiagnosticStatus.ERROR
    assert 'yolo@320' in status.message
    assert f'vsdet_n@{SIZE_PX}' in status.message
    result = robot.send(bgr_to_image(street_bgr(), make_header(0)))
    assert result.status == PROCESSED


def test_images_that_are_none_are_counted_with_their_reason(graph: Any) -> None:
    robot = Robot(graph)
    good = bgr_to_image(np.zeros((40, 60, 3), np.uint8), make_header(0))
    wrong_step = bgr_to_image(np.zeros((40, 60, 3), np.uint8), make_header(0))
    wrong_step.step = 10
    unknown = bgr_to_image(np.zeros((40, 60, 3), np.uint8), make_header(0))
    unknown.encoding = '64FC7'
    empty = Image(encoding='bgr8')
    for image in (wrong_step, unknown, empty):
        result = robot.send(image)
        assert (result.status, result.drop_reason) == (
            FrameResult.STATUS_DROPPED,
            'invalid_image',
        )
    assert robot.send(good).status == PROCESSED
    state = robot.state(lambda s: s.in_flight == 0)
    assert state.arrived == state.processed_local + state.processed_edge + state.dropped
    assert dict(zip(state.drop_reasons, state.drop_counts, strict=True))['invalid_image'] >= 3
    robot.process.wait_for_output('step = 10 is too small')


def test_other_encodings_are_taken(graph: Any) -> None:
    robot = Robot(graph)
    for encoding, channels, rows in (
        ('rgb8', 3, 40),
        ('rgba8', 4, 40),
        ('bgra8', 4, 40),
        ('mono8', 1, 40),
        ('yuv422_yuy2', 2, 40),
        ('nv12', 1, 60),
        ('bayer_rggb8', 1, 40),
    ):
        image = Image(height=40, width=64, encoding=encoding, step=64 * channels)
        image.data = bytes(64 * channels * rows)
        result = robot.send(image)
        assert result.status == PROCESSED, (encoding, result.drop_reason)
        assert (result.image_width_px, result.image_height_px) == (64, 40)


def test_compressed_images_are_taken(graph: Any) -> None:
    observer = graph.observer
    publisher = observer.advertise(CompressedImage, f'{topics.IMAGE_RAW}/compressed', 1)
    results = observer.watch(topics.FRAME_RESULT, FrameResult, topics.RESULT_QOS)
    graph.start('inference_node', parameters={**ONE_MODEL, 'image_transport': 'compressed'})
    observer.wait_for(topics.INFERENCE_STATE, InferenceState, qos=topics.STATE_QOS)
    message = CompressedImage(format='jpeg', data=encode_jpeg(street_bgr(), 80))
    observer.every(0.2, lambda: publisher.publish(message))
    result = results.wait(lambda r: r.status == PROCESSED)
    assert (result.image_width_px, result.image_height_px) == (320, 240)


def test_parameters_refuse_what_is_not_allowed_and_keep_the_old_value(graph: Any) -> None:
    robot = Robot(graph)
    for name, value, allowed in (
        ('safe_model', 'resnet', 'vsdet_n'),
        ('safe_input_size_px', 333, str(SIZE_PX)),
        ('max_age_s', -1.0, '0.05'),
        ('jpeg_quality', 1000, '100'),
    ):
        before = robot.observer.get_parameter(NODE, name)
        answer = robot.observer.set_parameter(NODE, name, value)
        assert not answer.successful
        assert allowed in answer.reason
        assert robot.observer.get_parameter(NODE, name) == before
    assert robot.observer.set_parameter(NODE, 'safe_input_size_px', NEXT_SIZE_PX).successful
    assert robot.send(bgr_to_image(street_bgr(), make_header(0))).input_size_px == NEXT_SIZE_PX


def test_a_bad_model_at_start_is_named_and_only_its_default_is_used(graph: Any) -> None:
    bad = {'models': ['resnet'], 'image_transport': 'pigeon', 'torch_threads': 2}
    process = graph.start('inference_node', parameters=bad)
    process.wait_for_output("image_transport = 'pigeon' is not allowed")
    process.wait_for_output("models = 'resnet' is not allowed")
    graph.observer.wait_for(topics.INFERENCE_STATE, InferenceState, qos=topics.STATE_QOS)
    assert graph.observer.get_parameter(NODE, 'torch_threads') == 2
    assert 'resnet' not in graph.observer.get_parameter(NODE, 'models')
    assert process.running


def test_a_topic_nobody_publishes_is_named(graph: Any) -> None:
    process = graph.start('inference_node', parameters=ONE_MODEL)
    status = graph.observer.wait_for_diagnostics(NODE, lambda s: 'nobody' in s.message)
    assert status.level == DiagnosticStatus.WARN
    assert '/image_raw' in status.message
    process.wait_for_output('nobody publishes /image_raw')


def test_incompatible_qos_is_named(graph: Any) -> None:
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = graph.observer.advertise(Image, topics.IMAGE_RAW, best_effort)
    process = graph.start(
        'inference_node', parameters={**ONE_MODEL, 'image_reliability': 'reliable'}
    )
    graph.observer.wait_for_diagnostics(NODE, lambda s: 'QoS' in s.message)
    process.wait_for_output('image_reliability to best_effort')
    assert publisher.topic_name == '/image_raw'


def test_sigterm_gives_every_frame_its_fate(graph: Any) -> None:
    robot = Robot(graph)
    states = robot.observer.watch(topics.INFERENCE_STATE, InferenceState, topics.STATE_QOS)
    robot.send(bgr_to_image(street_bgr(), make_header(0)))
    assert robot.process.stop() == 0
    last = states.messages[-1]
    assert last.in_flight == 0
    assert last.arrived == last.processed_local + last.processed_edge + last.dropped
