"""What the server has to know of a request before and after a model's network runs on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.edge.server.model_runner import Workload
from visionscaling_ros.edge.wire.protocol import InferCall
from visionscaling_ros.edge.wire.tensor_model import TensorSpec
from visionscaling_ros.errors import InvalidValueError, ModelError, VisionScalingError
from visionscaling_ros.vision.image_header import encoded_size_px
from visionscaling_ros.vision.jpeg import check_pixels
from visionscaling_ros.vision.letterbox import STRIDE_PX
from visionscaling_ros.vision.manifest import Manifest

# 4096 x 4096, the largest input there is; decoded it has 50 MB.
MAX_IMAGE_PIXELS = 1 << 24
ANY = -1
_OUTPUT_AXES = 3  # of every output that a decoder reads


class CallReader:
    """Checks requests for one model without decoding anything.

    :param max_image_pixels: of a compressed image.
    """

    def __init__(self, manifest: Manifest, max_image_pixels: int) -> None:
        self._manifest = manifest
        self._max_image_pixels = max_image_pixels
        self._nchw = manifest.input.layout == 'nchw'

    @property
    def tensor_spec(self) -> TensorSpec | None:
        """Input and outputs of the network, None where its manifest does not name them."""
        upload = self._manifest.upload
        if upload.input is None or upload.outputs is None:
            return None
        shape = (ANY, 3, ANY, ANY) if self._nchw else (ANY, ANY, ANY, 3)
        return TensorSpec(
            upload.input, shape, dict.fromkeys(upload.outputs, (ANY,) * _OUTPUT_AXES)
        )

    def workload(self, call: InferCall) -> Workload:
        """What ``call`` will cost.

        :raises ImageFormatError: its JPEG has no whole header, or too many pixels.
        :raises InvalidValueError: its tensor is not an input that the model runs at.
        """
        if call.tensor is not None:
            return Workload(call.model, *self._tensor_sides_px(call.tensor))
        width_px, height_px = encoded_size_px(call.jpeg or b'')
        check_pixels(width_px, height_px, self._max_image_pixels)
        geometry = self._manifest.input.geometry(width_px, height_px, call.input_size_px)
        source_pixels = 1 << (width_px * height_px - 1).bit_length()
        return Workload(call.model, geometry.height_px, geometry.width_px, source_pixels)

    def answer(
        self, tensor: FloatArray, outputs: Sequence[FloatArray]
    ) -> dict[str, FloatArray] | VisionScalingError:
        """The network's outputs by name, or what is wrong with them: values that are not finite.

        That is the request's fault where its tensor has such values.
        """
        if all(np.isfinite(output).all() for output in outputs):
            return dict(zip(self._manifest.upload.outputs or (), outputs, strict=True))
        if not np.isfinite(tensor).all():
            return InvalidValueError('tensor', 'NaN or inf', 'finite values')
        path = self._manifest.path
        return ModelError(f'{path}: output has values that are not finite; allowed: finite ones')

    def _tensor_sides_px(self, tensor: FloatArray) -> tuple[int, int]:
        """(height, width)."""
        sizes_px = self._manifest.input_sizes_px
        shape = tensor.shape
        sides_px = shape[2:] if self._nchw else shape[1:3]
        fixed = shape[:2] if self._nchw else (*shape[:1], *shape[3:])
        if (
            tensor.dtype != np.float32
            or len(shape) != 4
            or fixed != (1, 3)
            or max(sides_px) not in sizes_px
            or any(side_px < STRIDE_PX or side_px % STRIDE_PX for side_px in sides_px)
            or (self._manifest.input.square and sides_px[0] != sides_px[1])
        ):
            layout = '(1, 3, height, width)' if self._nchw else '(1, height, width, 3)'
            square = ', a square' if self._manifest.input.square else ''
            raise InvalidValueError(
                'tensor',
                f'{tensor.dtype}{shape}',
                f'float32 {layout}, sides multiples of {STRIDE_PX}, the longer one of '
                f'{sizes_px}{square}',
            )
        return sides_px[0], sides_px[1]
