"""What is sent of a frame: a JPEG, or the tensor the network reads, as the manifest says."""

from __future__ import annotations

import threading
from collections.abc import Callable

from visionscaling_ros.datatypes import ImageArray
from visionscaling_ros.pipeline.upload_worker import Payload
from visionscaling_ros.vision.catalog import Catalog
from visionscaling_ros.vision.input_writer import InputWriter, plain_memory
from visionscaling_ros.vision.jpeg import encode_jpeg, resize_for_upload
from visionscaling_ros.vision.manifest import Manifest


class FrameEncoder:
    """Encodes from any thread; tensors one at a time, since their memory is used again.

    :param catalog: the models there are; may be replaced at any time.
    :param jpeg_quality: asked for every JPEG.
    """

    def __init__(self, catalog: Catalog, jpeg_quality: Callable[[], int]) -> None:
        self.catalog = catalog
        self._jpeg_quality = jpeg_quality
        self._lock = threading.Lock()
        self._writers: dict[str, tuple[Manifest, InputWriter]] = {}

    def __call__(self, image_bgr: ImageArray, model: str, input_size_px: int) -> Payload:
        """Image (H, W, 3) for a model at an input size; ImageFormatError, InvalidValueError."""
        manifest = self.catalog.entry(model).manifest
        if not manifest.upload.sends_tensor:
            resized = resize_for_upload(image_bgr, input_size_px)
            return Payload(encode_jpeg(resized, self._jpeg_quality()))
        with self._lock:
            batch = self._writer(model, manifest).write(image_bgr, input_size_px).batch
            return Payload(batch.tobytes(), batch.shape)

    def _writer(self, model: str, manifest: Manifest) -> InputWriter:
        made_for, writer = self._writers.get(model, (None, None))
        if writer is None or made_for is not manifest:
            layout = manifest.input.layout
            writer = InputWriter(manifest.input, plain_memory, channels_last=layout == 'nhwc')
            self._writers[model] = manifest, writer
        return writer
