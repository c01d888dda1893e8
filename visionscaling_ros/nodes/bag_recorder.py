"""Records a running graph into a bag."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from visionscaling_ros.bags.bag_writer import BagWriter
from visionscaling_ros.bags.recording import Recording
from visionscaling_ros.bags.topic_choice import TopicChoice
from visionscaling_ros.nodes.topic_tap import TopicTap

QUEUE_BYTES = 128 * 2**20  # 5 s of 640x480 images at 30 a second, while the disk stands still


class BagRecorder(TopicTap):
    """A tap whose sink is a bag; use as a context manager, which finishes the bag.

    :param writer: of the bag.
    :param choice: of topics.
    :param queue_bytes: as ``max_bytes`` and ``on_end`` of ``Recording``; ``on_end`` is also called
        when it can hear no more.
    """

    def __init__(
        self,
        writer: BagWriter,
        choice: TopicChoice,
        *,
        queue_bytes: int = QUEUE_BYTES,
        max_bytes: int | None = None,
        on_end: Any = lambda: None,
        **tap: Any,
    ) -> None:
        self.recording = Recording(
            writer, queue_bytes=queue_bytes, max_bytes=max_bytes, on_end=on_end
        )
        super().__init__(choice, self.recording, **tap)
        self._on_end = on_end

    def on_failure(self, error: BaseException) -> None:
        """End as when the bag can take no more; leaving the context raises the error."""
        self._on_end()

    def __enter__(self) -> Any:
        try:
            return super().__enter__()
        except BaseException:
            self.recording.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, traceback)
        finally:
            self.recording.close()
