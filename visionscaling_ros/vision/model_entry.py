"""What a catalog knows of a model before it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.manifest import Manifest

# Fitted to the resident memory of vsdet models on torch, onnxruntime and openvino, which lie
# between 0.7 and 1.5 times the estimate: engines keep the weights twice, as they are and laid out
# for the processor, and so many float32 copies of the input for what is in between.
_COPIES_OF_WEIGHTS = 2
_ACTIVATIONS_PER_INPUT = 8


@dataclass(frozen=True)
class ModelEntry:
    """One model: one width of the network of one manifest.

    :param width: share of the network's channels, None where there is only one width.
    """

    name: str
    manifest: Manifest
    width: float | None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class id."""
        return self.manifest.class_names

    @property
    def input_sizes_px(self) -> tuple[int, ...]:
        """Input sizes it was measured at, ascending."""
        return self.manifest.input_sizes_px

    @property
    def accuracies_map(self) -> Mapping[int, float]:
        """COCO mAP 50:95 by input size [px], where measured."""
        return self.manifest.accuracies_map[self.name]

    def accuracy_map(self, input_size_px: int) -> float:
        """COCO mAP 50:95 at this input size; InvalidValueError when it was not measured."""
        accuracies_map = self.accuracies_map
        if input_size_px not in accuracies_map:
            raise InvalidValueError(
                f'{self.manifest.path}: accuracy of {self.name}: input_size_px',
                input_size_px,
                f'{sorted(accuracies_map)}, those measured; visionscaling evaluate --write adds to '
                'the table',
            )
        return accuracies_map[input_size_px]

    @property
    def is_there(self) -> bool:
        """Whether the network's file is there."""
        return self.manifest.file.is_file()

    @property
    def memory_bytes(self) -> int:
        """Estimate of what the loaded model takes: weights and activations at its largest size.

        The weights are as large as the file (vsdet keeps them in half precision, so twice that,
        of which a width has its square); activations are a multiple of the input, half of which
        shrinks with the width. What an engine takes for itself, once in a process, is not in it.
        """
        manifest, width = self.manifest, self.width or 1.0
        if self.is_there:
            file_bytes = manifest.file.stat().st_size
        else:
            file_bytes = manifest.download.size_bytes if manifest.download else 0
        weights_bytes = file_bytes * (2 * width**2 if manifest.format == 'vsdet' else 1)
        input_bytes = 4 * 3 * manifest.input_sizes_px[-1] ** 2
        activations_bytes = _ACTIVATIONS_PER_INPUT * input_bytes * (1 + width) / 2
        return round(_COPIES_OF_WEIGHTS * weights_bytes + activations_bytes)
