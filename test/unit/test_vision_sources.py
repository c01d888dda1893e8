"""Every source keeps the FrameSource contract; each says what is wrong when it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from visionscaling_ros.errors import SourceError
from visionscaling_ros.vision.sources import Frame, FrameSource, open_source

FRAMES = 5
FPS = 10.0


@pytest.fixture(scope='module')
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('video') / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), FPS, (64, 48))
    for index in range(FRAMES):
        writer.write(np.full((48, 64, 3), 40 * index, np.uint8))
    writer.release()
    return path


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('folder')
    for index in reversed(range(FRAMES)):
        cv2.imwrite(str(path / f'{index}.png'), np.full((48, 64, 3), 40 * index, np.uint8))
    (path / 'notes.txt').write_text('not an image')
    return path


@pytest.fixture(params=['video', 'folder', 'synthetic'])
def spec(request: pytest.FixtureRequest) -> str:
    if request.param == 'synthetic':
        return 'synthetic'
    return str(request.getfixturevalue(request.param))


class TestContract:
    def test_gives_pictures(self, spec: str) -> None:
        source = open_source(spec, width_px=64, height_px=64, rate_fps=FPS)
        assert isinstance(source.live, bool)
        assert source.fps > 0
        frame = source.read()
        assert isinstance(frame, Frame)
        assert frame.image_bgr.dtype == np.uint8
        assert frame.image_bgr.ndim == 3
        assert frame.image_bgr.shape[2] == 3
        source.close()
        source.close()

    def test_stamps_rise_also_over_loops(self, spec: str) -> None:
        source = open_source(spec, width_px=64, height_px=64, rate_fps=FPS, loop=True)
        frames = [source.read() for _ in range(2 * FRAMES + 2)]
        assert all(frame is not None for frame in frames)
        stamps_s = [frame.stamp_s for frame in frames if frame is not None]
        known = [stamp_s for stamp_s in stamps_s if stamp_s is not None]
        assert (np.diff(known) > 0).all()


@pytest.mark.parametrize('kind', ['video', 'folder'])
def test_order_and_end(kind: str, request: pytest.FixtureRequest) -> None:
    source = open_source(str(request.getfixturevalue(kind)), loop=False)
    levels = []
    while (frame := source.read()) is not None:
        levels.append(float(frame.image_bgr.mean()))
    assert levels == pytest.approx([40 * index for index in range(FRAMES)], abs=3)
    assert source.read() is None


def test_video_time_is_the_files(video: Path) -> None:
    source = open_source(str(video), loop=True)
    assert source.fps == pytest.approx(FPS)
    stamps_s = [source.read().stamp_s for _ in range(2 * FRAMES)]
    np.testing.assert_allclose(np.diff(stamps_s), 1 / FPS, atol=1e-3)


def test_synthetic_knows_the_truth() -> None:
    source = open_source('synthetic', seed=3, rate_fps=2.0)
    frames = [source.read() for _ in range(20)]
    assert all(frame.truth is not None for frame in frames)
    assert sum(len(frame.truth) for frame in frames) > 20
    assert frames[0].image_bgr.shape == (480, 640, 3)


@pytest.mark.parametrize(
    'spec', ['no/such/file.mp4', '/dev/video99', '99', '', 'videotestsrc ! broken ! appsink']
)
def test_what_cannot_be_opened_is_named(spec: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError, match='allowed'):
        open_source(spec)


def broken_file(path: Path) -> Path:
    (path / 'broken.mp4').write_bytes(b'this is no video' * 20)
    return path / 'broken.mp4'


def empty_folder(path: Path) -> Path:
    (path / 'empty').mkdir()
    return path / 'empty'


@pytest.mark.parametrize('make', [broken_file, empty_folder])
def test_unusable_paths_are_named(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    with pytest.raises(SourceError, match=path.name):
        open_source(str(path))


def test_an_unreadable_image_is_named_and_the_next_one_comes(tmp_path: Path) -> None:
    (tmp_path / 'a.png').write_bytes(b'no image')
    cv2.imwrite(str(tmp_path / 'b.png'), np.zeros((4, 4, 3), np.uint8))
    source: FrameSource = open_source(str(tmp_path), loop=False)
    with pytest.raises(SourceError, match=r'a\.png'):
        source.read()
    assert source.read() is not None
