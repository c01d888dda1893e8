"""Models whose input tensor is sent: the robot decodes what their network answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections
from visionscaling_ros.edge.wire.tensor_model import TensorModel
from visionscaling_ros.errors import EdgeError, InvalidValueError, VisionScalingError
from visionscaling_ros.vision.catalog import Catalog
from visionscaling_ros.vision.letterbox import Letterbox
from visionscaling_ros.vision.manifest import Manifest
from visionscaling_ros.vision.model_entry import ModelEntry
from visionscaling_ros.vision.output_reader import OutputReader


class ManifestTensorModel:
    """The edge client's ``TensorModel`` over a manifest. Needs no engine and no network file.

    Raises InvalidValueError for a model whose tensor names its manifest does not know.
    """

    def __init__(self, entry: ModelEntry) -> None:
        upload = entry.manifest.upload
        if upload.input is None or upload.outputs is None:
            where = f'{entry.manifest.path}: offload'
            raise InvalidValueError(where, upload, 'the names of all tensors')
        self._manifest: Manifest = entry.manifest
        self._reader = OutputReader(entry.name, entry.manifest)
        self.input_name = upload.input
        self.output_names = upload.outputs

    def decode(self, tensors: Sequence[FloatArray], frame: OffloadFrame) -> RelativeDetections:
        """What the network found in ``frame``; raises EdgeError for an output it cannot read."""
        try:
            geometry = self._geometry(frame)
            found = self._reader.read(tensors, geometry)
        except VisionScalingError as error:
            raise EdgeError(str(error)) from error
        width_px, height_px = frame.image_width_px, frame.image_height_px
        return RelativeDetections.from_pixels(found, width_px, height_px)

    def _geometry(self, frame: OffloadFrame) -> Letterbox:
        """How the robot fitted the image: it has the same manifest."""
        form = self._manifest.input
        geometry = form.geometry(
            frame.image_width_px, frame.image_height_px, frame.input_size_px
        )
        sides_px = (geometry.height_px, geometry.width_px)
        shape = (1, *sides_px, 3) if form.layout == 'nhwc' else (1, 3, *sides_px)
        if frame.tensor_shape != shape:
            raise EdgeError(f'frame is a tensor {frame.tensor_shape}, its image asks for {shape}')
        return geometry


def tensor_models(catalog: Catalog) -> Mapping[str, TensorModel]:
    """The models of a catalog whose tensor is sent, by name."""
    entries = map(catalog.entry, catalog.names())
    return {
        entry.name: ManifestTensorModel(entry)
        for entry in entries
        if entry.manifest.upload.sends_tensor
    }
