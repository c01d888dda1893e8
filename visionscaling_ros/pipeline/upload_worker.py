"""Shrinks and encodes the frames that go to the edge, one at a time, newest first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from visionscaling_ros.datatypes import DropReason, ImageArray
from visionscaling_ros.errors import ImageFormatError
from visionscaling_ros.pipeline.cost_table import CostTable
from visionscaling_ros.pipeline.frame import Frame
from visionscaling_ros.pipeline.newest_worker import NewestWorker


@dataclass(frozen=True)
class Payload:
    """What is sent of a frame: a JPEG, or float32 values of ``tensor_shape``."""

    data: bytes
    tensor_shape: tuple[int, ...] | None = None


# BGR image (H, W, 3), model and input size [px] it is for
Encode = Callable[[ImageArray, str, int], Payload]


@dataclass(frozen=True)
class Upload:
    """An encoded frame on its way to the edge bridge."""

    frame: Frame
    payload: Payload
    image_width_px: int
    image_height_px: int


class UploadWorker(NewestWorker[Frame]):
    """One thread that encodes.

    :param encode: BGR image (H, W, 3), model and input size [px] to what is sent.
    :param on_upload: called from the worker's thread with every encoded frame.
    :param on_failed: called with a frame that could not be encoded, why, and in words.
    :param costs: corrected by the size of every encoded frame.
    """

    def __init__(
        self,
        encode: Encode,
        on_upload: Callable[[Upload], None],
        on_failed: Callable[[Frame, DropReason, str], None],
        costs: CostTable,
    ) -> None:
        super().__init__('upload_worker')
        self._encode = encode
        self._on_upload = on_upload
        self._on_failed = on_failed
        self._costs = costs

    def work(self, item: Frame) -> None:
        """Encode one frame and pass it on."""
        try:
            self._upload(item)
        except ImageFormatError as error:
            self._on_failed(item, DropReason.INVALID_IMAGE, str(error))
        except Exception as error:  # an encoder may raise anything; the robot keeps running
            self._on_failed(item, DropReason.EDGE_FAILED, f'encoding failed: {error!r}')

    def _upload(self, frame: Frame) -> None:
        allocation = frame.allocation
        assert allocation is not None
        image = frame.decode()
        point = allocation.model, allocation.input_size_px
        payload = self._encode(image, *point)
        self._costs.observe_upload(*point, 8.0 * len(payload.data))
        self._on_upload(Upload(frame, payload, image.shape[1], image.shape[0]))
