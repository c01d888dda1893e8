"""The mAP of the frames processed lately, as a whole and by configuration, beside the work."""

from __future__ import annotations

import threading
from collections.abc import Hashable

from visionscaling_ros.datatypes import Detections
from visionscaling_ros.vision.accuracy import LiveAccuracy

PERIOD_S = 3.0  # evaluating holds the interpreter for tens of milliseconds: frames wait meanwhile


class LiveAccuracyThread:
    """Evaluates every PERIOD_S in a thread of its own, while there is something new.

    :param window_frames: frames the mAP is taken over.
    :param class_count: number of classes.
    """

    def __init__(self, window_frames: int, class_count: int) -> None:
        self._window_frames = window_frames
        self.clear(class_count)
        self._stopping = threading.Event()
        self._has_truth = False
        self.evaluations = 0
        self.per_point = False  # whether by_point is of use: it takes as long again
        self.map_50_95 = float('nan')
        self.by_point: dict[Hashable, tuple[float, int]] = {}  # mAP and frames
        self._thread = threading.Thread(target=self._run, name='live_accuracy', daemon=True)
        self._thread.start()

    def add_truth(self, stamp_ns: int, truth: Detections) -> None:
        """What is really in the image of this stamp."""
        self._has_truth = self._has_news = True
        self._accuracy.add_truth(stamp_ns, truth)

    def add_result(self, stamp_ns: int, result: Detections, point: Hashable = None) -> None:
        """What was detected in it by which configuration; needless without ground truth."""
        if self._has_truth:
            self._accuracy.add_result(stamp_ns, result, point)

    def clear(self, class_count: int) -> None:
        """Forget all frames; there are so many classes from now on."""
        self._accuracy = LiveAccuracy(self._window_frames, class_count)
        self._has_news = True

    def evaluate(self) -> None:
        """Take the mAP of what is in the window now."""
        self._has_news = False
        self.map_50_95 = self._accuracy.map_50_95()
        self.by_point = self._accuracy.by_point() if self.per_point else {}
        self.evaluations += 1

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(PERIOD_S):
            if self._has_news:
                self.evaluate()
