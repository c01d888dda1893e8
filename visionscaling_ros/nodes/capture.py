"""Reads a frame source in a thread of its own, and opens it again when it is lost."""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable

from visionscaling_ros.errors import SourceError, VisionScalingError
from visionscaling_ros.nodes.pacer import Pacer
from visionscaling_ros.vision.sources import Frame, FrameSource

STOP_TIMEOUT_S = 1.0  # a driver may block for longer: its thread ends by itself
UNKNOWN_FPS = 30.0  # of a file that does not tell its frame rate


class CaptureState(enum.Enum):
    """What the capture thread is at."""

    OPENING = 'opening'
    RUNNING = 'running'
    FINISHED = 'finished'
    LOST = 'lost'


class Capture:
    """A capture thread.

    Frames are handed over in the thread. A source with a rate of its own in the real world (a
    camera) is read as fast as it delivers, and frames above ``rate_fps`` are thrown away; any
    other is read when its turn comes.

    :param open_source: opens the source; raises SourceError.
    :param rate_fps: frames a second to hand over; 0: the source's own rate.
    :param on_frame: takes each frame.
    :param on_change: told of a new state, with why it is lost.
    """

    def __init__(
        self,
        open_source: Callable[[], FrameSource],
        *,
        rate_fps: float,
        reconnect_period_s: float,
        on_frame: Callable[[Frame], None],
        on_change: Callable[[CaptureState, str], None],
    ) -> None:
        self._open_source = open_source
        self._rate_fps = rate_fps
        self._reconnect_period_s = reconnect_period_s
        self._on_frame = on_frame
        self._on_change = on_change
        self._pacer = Pacer(rate_fps)
        self._source: FrameSource | None = None
        self._stopped = False
        self.state = CaptureState.OPENING
        self.trouble = ''  # why the source is lost
        self.frames = 0
        self.last_frame_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name='capture', daemon=True)
        self._thread.start()

    @property
    def skipped(self) -> int:
        """Turns nothing was captured in because the thread came too late."""
        return self._pacer.skipped

    def set_rate(self, rate_fps: float) -> None:
        """Another rate at once."""
        self._rate_fps = rate_fps
        self._pace()

    def stop(self) -> None:
        """No frame is handed over after this returns, even if the driver still blocks."""
        self._stopped = True
        self._pacer.close()
        self._thread.join(STOP_TIMEOUT_S)

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._source = self._open_source()
                try:
                    self._read_all(self._source)
                finally:
                    self._source.close()
            except VisionScalingError as error:
                self._change(CaptureState.LOST, str(error))
            except Exception as error:  # a driver's surprise must not end the camera for good
                self._change(CaptureState.LOST, f'capture failed: {error!r}')
            if self.state == CaptureState.FINISHED or not self._pacer.pause(
                self._reconnect_period_s
            ):
                return

    def _read_all(self, source: FrameSource) -> None:
        self._pace()
        while not self._stopped:
            if not source.live and not self._pacer.wait():
                return
            try:
                frame = source.read()
            except SourceError as error:
                if source.live:
                    raise
                # One bad image of a folder: the next read is for the one after it.
                self._change(CaptureState.LOST, str(error))
                self._pacer.pause(self._reconnect_period_s)
                continue
            if frame is None:
                self._change(CaptureState.FINISHED)
                return
            if source.live and not self._pacer.due():
                continue
            self.frames += 1
            self.last_frame_s = time.monotonic()
            self._change(CaptureState.RUNNING)
            if not self._stopped:
                self._on_frame(frame)

    def _pace(self) -> None:
        source = self._source
        own_fps = 0.0 if source is None or source.live else source.fps or UNKNOWN_FPS
        self._pacer.set_rate(self._rate_fps or own_fps)

    def _change(self, state: CaptureState, trouble: str = '') -> None:
        if self._stopped or (state == self.state and trouble == self.trouble):
            return
        self.state, self.trouble = state, trouble
        self._on_change(state, trouble)
