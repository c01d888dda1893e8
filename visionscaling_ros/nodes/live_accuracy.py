"""The mAP of the frames processed lately, taken beside the work."""

from __future__ import annotations

import threading

from visionscaling_ros.datatypes import Detections
from visionscaling_ros.vision.accuracy import LiveAccuracy

PERIOD_S = 3.0  # evaluating holds the interpreter for tens of milliseconds: frames wait meanwhile


class LiveAccuracyThread:
    """Evaluates every PERIOD_S in a thread of its own, while there is ground truth.

    :param window_frames: frames the mAP is taken over.
    :param class_count: number of classes.
    """

    def __init__(self, window_frames: int, class_count: int) -> None:
        self._accuracy = LiveAccuracy(window_frames, class_count)
        self._stopping = threading.Event()
        self._has_truth = False
        self.map_50_95 = float('nan')
        self._thread = threading.Thread(target=self._run, name='live_accuracy', daemon=True)
        self._thread.start()

    def add_truth(self, stamp_ns: int, truth: Detections) -> None:
        """What is really in the image of this stamp."""
        self._has_truth = True
        self._accuracy.add_truth(stamp_ns, truth)

    def add_result(self, stamp_ns: int, result: Detections) -> None:
        """What was detected in it; needless without ground truth."""
        if self._has_truth:
            self._accuracy.add_result(stamp_ns, result)

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(PERIOD_S):
            if self._has_truth:
                self.map_50_95 = self._accuracy.map_50_95()
