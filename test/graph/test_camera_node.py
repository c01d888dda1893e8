"""camera_node as a process: frames, truth, calibration, and sources that come and go."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from graph_harness import Graph, Observer, Process
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from visionscaling_ros.msg import FrameResult

from visionscaling_ros.message_reading import stamp_to_ns

NODE = '/camera_node'
SMALL = {'width_px': 128, 'height_px': 96}

CALIBRATION = """
image_width: 128
image_height: 96
camera_name: front
camera_matrix: {rows: 3, cols: 3, data: [100.0, 0, 64, 0, 100.0, 48, 0, 0, 1]}
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [-0.3, 0.1, 0, 0, 0]}
rectification_matrix: {rows: 3, cols: 3, data: [1, 0, 0, 0, 1, 0, 0, 0, 1]}
projection_matrix: {rows: 3, cols: 4, data: [90.0, 0, 64, 0, 0, 90.0, 48, 0, 0, 0, 1, 0]}
"""

COMPOSED = """
import threading
from visionscaling_ros.nodes.camera_node import CameraNode
from visionscaling_ros.nodes.managed_node import run_nodes

def make():
    node = CameraNode()
    node.consumer = lambda image, stamp_ns, frame_id, truth: print(
        'took', image.shape, stamp_ns, frame_id, len(truth), threading.current_thread().name,
        flush=True)
    return node

run_nodes(make)
"""


@pytest.fixture
def observer(graph: Graph) -> Observer:
    return graph.observer


def start(graph: Graph, **parameters: Any) -> Process:
    return graph.start('camera_node', parameters={'rate_fps': 20.0, **SMALL, **parameters})


def write_video(path: Path, frames: int, fps: float = 20.0) -> None:
    """A video whose frames grow brighter."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), fps, (96, 64))
    assert writer.isOpened()
    for number in range(frames):
        writer.write(np.full((64, 96, 3), 5 * number, np.uint8))
    writer.release()


def error_naming(text: str) -> Any:
    return lambda s: s.level == DiagnosticStatus.ERROR and text in s.message


def is_ok(status: DiagnosticStatus) -> bool:
    return status.level == DiagnosticStatus.OK and status.message == 'running'


def test_a_synthetic_street_comes_with_its_truth(graph: Graph, observer: Observer) -> None:
    images = observer.watch('image_raw', Image)
    truths = observer.watch('ground_truth', FrameResult)
    start(graph, frame_id='front')
    images.wait(lambda _: len(images.messages) >= 10)
    image = images.messages[-1]
    assert (image.width, image.height, image.encoding, image.step) == (128, 96, 'bgr8', 384)
    assert image.header.frame_id == 'front'
    assert np.frombuffer(image.data, np.uint8).std() > 10.0
    truth = truths.wait(lambda t: t.header == image.header)
    assert truth.model == 'ground_truth'
    assert (truth.image_width_px, truth.image_height_px) == (128, 96)
    assert all(d.score == 1.0 and d.class_name for d in truth.detections)
    truths.wait(lambda t: t.detections)
    stamps = [stamp_to_ns(i.header.stamp) for i in images.messages]
    assert stamps == sorted(set(stamps))


def test_the_same_seed_gives_the_same_street(graph: Graph, observer: Observer) -> None:
    def first_truths(seed: int) -> list[list[float]]:
        truths = observer.watch('ground_truth', FrameResult)
        process = start(graph, seed=seed, autostart=False)
        assert observer.change_state(NODE, Transition.TRANSITION_CONFIGURE)
        assert observer.change_state(NODE, Transition.TRANSITION_ACTIVATE)
        truths.wait(lambda t: len(t.detections) > 1)
        found = truths.messages
        process.stop()
        return [[d.x_min for d in t.detections] for t in found]

    assert any(row in first_truths(3) for row in first_truths(3) if row)


def test_an_unreadable_source_is_named_and_taken_when_it_appears(
    graph: Graph, observer: Observer, tmp_path: Path
) -> None:
    video = tmp_path / 'drive.avi'
    node = start(graph, source=str(video), reconnect_period_s=0.2)
    status = observer.wait_for_diagnostics(NODE, error_naming(str(video)))
    assert status.hardware_id == '/'
    node.wait_for_output(str(video))
    images = observer.watch('image_raw', Image)
    write_video(tmp_path / 'other.avi', 10)
    os.replace(tmp_path / 'other.avi', video)
    assert images.wait().width == 96
    observer.wait_for_diagnostics(NODE, is_ok)
    assert node.running


def test_a_file_without_loop_ends_once(graph: Graph, observer: Observer, tmp_path: Path) -> None:
    write_video(tmp_path / 'drive.avi', 5)
    node = start(graph, source=str(tmp_path / 'drive.avi'), loop=False)
    status = observer.wait_for_diagnostics(NODE, lambda s: 'finished' in s.message)
    assert status.level == DiagnosticStatus.OK
    assert {v.key: v.value for v in status.values}['frames'] == '5'
    observer.wait_for_diagnostics(NODE, lambda s: 'finished' in s.message)
    node.wait_for_output('finished')
    assert node.output.count('finished') == 1
    images = observer.watch('image_raw', Image)
    assert observer.set_parameter(NODE, 'loop', True).successful
    images.wait(lambda _: len(images.messages) > 10)


def test_frames_can_carry_the_files_own_time(
    graph: Graph, observer: Observer, tmp_path: Path
) -> None:
    write_video(tmp_path / 'drive.avi', 40, fps=10.0)
    images = observer.watch('image_raw', Image)
    start(graph, source=str(tmp_path / 'drive.avi'), rate_fps=50.0, stamp_source='source')
    images.wait(lambda _: len(images.messages) >= 12)
    stamps = [stamp_to_ns(i.header.stamp) for i in images.messages]
    steps_ms = {round((b - a) * 1e-6) for a, b in itertools.pairwise(stamps)}
    assert steps_ms <= {100, 200, 300}  # multiples: an image may be missed
    assert 100 in steps_ms


def test_the_rate_and_the_source_change_while_it_runs(
    graph: Graph, observer: Observer, tmp_path: Path
) -> None:
    images = observer.watch('image_raw', Image)
    start(graph, rate_fps=0.01)
    observer.wait_for_diagnostics(NODE, lambda s: 'running' in s.message)
    before = len(images.messages)
    assert before <= 1
    assert observer.set_parameter(NODE, 'rate_fps', 50).successful  # a whole number will do
    images.wait(lambda _: len(images.messages) >= before + 10)
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((40, 60, 3), np.uint8))
    assert observer.set_parameter(NODE, 'source', str(tmp_path)).successful
    images.wait(lambda i: (i.width, i.height) == (60, 40))
    assert observer.set_parameter(NODE, 'source', 'nowhere.mp4').successful
    observer.wait_for_diagnostics(NODE, error_naming('nowhere.mp4'))


BAD_VALUES = [
    ('stamp_source', 'driver', "'clock', 'source'"),
    ('rate_fps', -1.0, 'Min: 0.0'),
    ('width_px', 0, 'Min: 64'),
    ('camera_info_url', '/nowhere/front.yaml', 'No such file'),
    ('camera_info_url', 'https://front.yaml', 'file:// URL'),
]


def test_bad_parameters_are_refused_with_what_is_allowed(
    graph: Graph, observer: Observer
) -> None:
    start(graph)
    for name, value, allowed in BAD_VALUES:
        before = observer.get_parameter(NODE, name)
        answer = observer.set_parameter(NODE, name, value)
        assert not answer.successful
        assert allowed in answer.reason
        assert observer.get_parameter(NODE, name) == before
    observer.wait_for_diagnostics(NODE, is_ok)


def test_a_calibration_is_published_with_each_image(
    graph: Graph, observer: Observer, tmp_path: Path
) -> None:
    calibration = tmp_path / 'front camera.yaml'
    calibration.write_text(CALIBRATION)
    infos = observer.watch('camera_info', CameraInfo)
    images = observer.watch('image_raw', Image)
    start(graph, camera_info_url=calibration.as_uri())
    image = images.wait(lambda _: len(images.messages) >= 3)
    image = images.messages[-1]
    info = infos.wait(lambda i: i.header == image.header)
    assert (info.width, info.height, info.distortion_model) == (128, 96, 'plumb_bob')
    assert list(info.k) == [100.0, 0, 64, 0, 100.0, 48, 0, 0, 1]
    assert list(info.d) == [-0.3, 0.1, 0, 0, 0]
    assert info.p[0] == 90.0


def test_a_damaged_calibration_is_refused(
    graph: Graph, observer: Observer, tmp_path: Path
) -> None:
    start(graph)
    damaged = tmp_path / 'bad.yaml'
    short = CALIBRATION.replace('[100.0, 0,', '[100.0,')
    for text in ('', '[', 'image_width: 3', short, CALIBRATION.replace('64', 'a lot'), '\x00'):
        damaged.write_text(text)
        answer = observer.set_parameter(NODE, 'camera_info_url', str(damaged))
        assert not answer.successful, text
        assert str(damaged) in answer.reason
    damaged.write_text(CALIBRATION)
    assert observer.set_parameter(NODE, 'camera_info_url', str(damaged)).successful


def test_compressed_images_decode(graph: Graph, observer: Observer) -> None:
    start(graph, image_transport='compressed')
    image = observer.wait_for('image_raw/compressed', CompressedImage)
    assert 'jpeg' in image.format
    decoded = cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (96, 128, 3)


def test_frames_are_handed_over_in_memory_and_published_to_whoever_asks(
    graph: Graph, observer: Observer
) -> None:
    arguments = ['--ros-args', '-p', 'rate_fps:=20.0', '-p', 'width_px:=128', '-p', 'height_px:=96']
    process = graph.run(sys.executable, '-c', COMPOSED, *arguments)
    process.wait_for_output('took (96, 128, 3)')
    image = observer.wait_for('image_raw', Image)
    process.wait_for_output(f' {stamp_to_ns(image.header.stamp)} camera ')
    process.wait_for_output('capture')
    assert process.stop() == 0


def test_deactivated_it_is_silent_and_activated_it_goes_on(
    graph: Graph, observer: Observer
) -> None:
    images = observer.watch('image_raw', Image)
    start(graph)
    images.wait()
    assert observer.change_state(NODE, Transition.TRANSITION_DEACTIVATE)
    assert observer.change_state(NODE, Transition.TRANSITION_CLEANUP)
    status = observer.wait_for_diagnostics(NODE, lambda s: 'not active' in s.message)
    assert status.level == DiagnosticStatus.WARN
    images.clear()
    observer.wait_for_diagnostics(NODE, lambda s: 'not active' in s.message)
    assert images.messages == []
    assert observer.change_state(NODE, Transition.TRANSITION_CONFIGURE)
    assert observer.change_state(NODE, Transition.TRANSITION_ACTIVATE)
    images.wait()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_even_while_the_driver_blocks(
    graph: Graph, observer: Observer, tmp_path: Path, number: signal.Signals
) -> None:
    os.mkfifo(tmp_path / 'camera')  # opening it blocks until somebody writes
    node = start(graph, source=str(tmp_path / 'camera'))
    observer.wait_for_diagnostics(NODE, lambda s: s.level != DiagnosticStatus.OK)
    assert node.stop(number) == 0


def test_a_device_index_may_be_given_as_a_number(graph: Graph, observer: Observer) -> None:
    node = start(graph, source=97)
    observer.wait_for_diagnostics(NODE, error_naming("'97'"))
    assert observer.set_parameter(NODE, 'source', 98).successful
    observer.wait_for_diagnostics(NODE, error_naming("'98'"))
    answer = observer.set_parameter(NODE, 'source', True)
    assert not answer.successful
    assert 'a text' in answer.reason
    assert node.stop() == 0
