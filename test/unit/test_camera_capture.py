"""The capture thread, on sources that misbehave as real ones do."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from visionscaling_ros.errors import SourceError
from visionscaling_ros.nodes.capture import Capture, CaptureState
from visionscaling_ros.vision.sources import FolderSource, Frame, FrameSource

TIMEOUT_S = 20.0
IMAGE = np.zeros((4, 6, 3), np.uint8)


class Camera:
    """A live source: gives a frame whenever the test says so, and can be pulled out."""

    live = True
    fps = 30.0

    def __init__(self) -> None:
        self.frames: queue.Queue[Frame | None] = queue.Queue()
        self.closed = threading.Event()

    def read(self) -> Frame | None:
        frame = self.frames.get()
        if frame is None:
            raise SourceError('camera 7 gives no more frames')
        return frame

    def close(self) -> None:
        self.closed.set()


class Still:
    """Not live: an endless row of equal frames."""

    live = False
    fps = 1000.0

    def read(self) -> Frame:
        return Frame(IMAGE)

    def close(self) -> None:
        pass


class Recorder:
    """What a capture hands over, waited for."""

    def __init__(self) -> None:
        self.frames: queue.Queue[Frame] = queue.Queue()
        self.changes: queue.Queue[tuple[CaptureState, str]] = queue.Queue()

    def capture(
        self,
        open_source: Callable[[], FrameSource],
        rate_fps: float = 0.0,
        reconnect_period_s: float = 0.01,
    ) -> Capture:
        return Capture(
            open_source,
            rate_fps=rate_fps,
            reconnect_period_s=reconnect_period_s,
            on_frame=self.frames.put,
            on_change=lambda state, trouble: self.changes.put((state, trouble)),
        )

    def next_change(self) -> tuple[CaptureState, str]:
        return self.changes.get(timeout=TIMEOUT_S)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def captures() -> Iterator[list[Capture]]:
    started: list[Capture] = []
    yield started
    for capture in started:
        capture.stop()


def write_images(folder: Path, count: int) -> None:
    for number in range(count):
        cv2.imwrite(str(folder / f'{number:03}.png'), np.full((8, 8, 3), number, np.uint8))


def test_a_folder_is_read_to_its_end_and_finished(
    tmp_path: Path, recorder: Recorder, captures: list[Capture]
) -> None:
    write_images(tmp_path, 5)
    captures.append(recorder.capture(lambda: FolderSource(tmp_path), rate_fps=1000.0))
    assert recorder.next_change() == (CaptureState.RUNNING, '')
    assert recorder.next_change() == (CaptureState.FINISHED, '')
    values = [int(recorder.frames.get().image_bgr[0, 0, 0]) for _ in range(5)]
    assert values == [0, 1, 2, 3, 4]
    assert recorder.frames.empty()
    assert captures[0].frames == 5


def test_a_bad_image_is_named_and_the_rest_still_comes(
    tmp_path: Path, recorder: Recorder, captures: list[Capture]
) -> None:
    write_images(tmp_path, 3)
    (tmp_path / '001.png').write_bytes(b'no image')
    captures.append(recorder.capture(lambda: FolderSource(tmp_path), rate_fps=1000.0))
    assert recorder.next_change() == (CaptureState.RUNNING, '')
    state, trouble = recorder.next_change()
    assert state == CaptureState.LOST
    assert '001.png' in trouble
    assert recorder.next_change() == (CaptureState.RUNNING, '')
    assert recorder.next_change() == (CaptureState.FINISHED, '')
    assert [int(recorder.frames.get().image_bgr[0, 0, 0]) for _ in range(2)] == [0, 2]


def test_a_source_that_cannot_be_opened_is_tried_until_it_can(
    tmp_path: Path, recorder: Recorder, captures: list[Capture]
) -> None:
    attempts: list[int] = []

    def open_source() -> FrameSource:
        attempts.append(1)
        if len(attempts) < 4:
            raise SourceError('camera 7 is not there')
        return Still()

    captures.append(recorder.capture(open_source, rate_fps=1000.0))
    assert recorder.next_change() == (CaptureState.LOST, 'camera 7 is not there')
    assert recorder.next_change() == (CaptureState.RUNNING, '')
    assert len(attempts) == 4


def test_a_lost_camera_is_closed_and_opened_again(
    recorder: Recorder, captures: list[Capture]
) -> None:
    cameras: list[Camera] = []

    def open_source() -> FrameSource:
        cameras.append(Camera())
        cameras[-1].frames.put(Frame(IMAGE))
        return cameras[-1]

    captures.append(recorder.capture(open_source))
    assert recorder.next_change() == (CaptureState.RUNNING, '')
    cameras[0].frames.put(None)
    state, trouble = recorder.next_change()
    assert (state, trouble) == (CaptureState.LOST, 'camera 7 gives no more frames')
    assert recorder.next_change() == (CaptureState.RUNNING, '')
    assert cameras[0].closed.is_set()
    assert len(cameras) == 2
    cameras[1].frames.put(None)


def test_an_unforeseen_error_does_not_end_the_thread(
    recorder: Recorder, captures: list[Capture]
) -> None:
    attempts: list[int] = []

    def open_source() -> FrameSource:
        attempts.append(1)
        if len(attempts) == 1:
            raise RuntimeError('driver bug')
        return Still()

    captures.append(recorder.capture(open_source, rate_fps=1000.0))
    assert 'driver bug' in recorder.next_change()[1]
    assert recorder.next_change() == (CaptureState.RUNNING, '')


def test_stopping_does_not_wait_for_a_driver_that_blocks(recorder: Recorder) -> None:
    camera = Camera()
    capture = recorder.capture(lambda: camera)
    stopped = threading.Event()
    thread = threading.Thread(target=lambda: (capture.stop(), stopped.set()))
    thread.start()
    assert stopped.wait(TIMEOUT_S)
    camera.frames.put(Frame(IMAGE))  # the driver answers after all
    assert camera.closed.wait(TIMEOUT_S)
    assert recorder.frames.empty()


def test_a_new_rate_counts_at_once(recorder: Recorder, captures: list[Capture]) -> None:
    captures.append(recorder.capture(Still, rate_fps=0.001))
    recorder.frames.get(timeout=TIMEOUT_S)
    assert recorder.frames.empty()
    captures[0].set_rate(1000.0)
    for _ in range(20):
        recorder.frames.get(timeout=TIMEOUT_S)


def test_a_rate_of_zero_is_the_sources_own(recorder: Recorder, captures: list[Capture]) -> None:
    captures.append(recorder.capture(Still))
    started_s = time.monotonic()
    for _ in range(200):
        recorder.frames.get(timeout=TIMEOUT_S)
    assert time.monotonic() - started_s >= 0.19  # 1000 frames/s; it cannot be faster


def test_a_camera_is_thinned_to_the_rate_asked_for(
    recorder: Recorder, captures: list[Capture]
) -> None:
    camera = Camera()
    captures.append(recorder.capture(lambda: camera, rate_fps=0.001))
    for _ in range(50):
        camera.frames.put(Frame(IMAGE))
    camera.frames.put(None)
    while recorder.next_change()[0] != CaptureState.LOST:
        pass
    assert recorder.frames.qsize() == 1
    camera.frames.put(None)
