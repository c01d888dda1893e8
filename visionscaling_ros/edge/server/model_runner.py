"""What the edge server serves, and what its scheduler has to know of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.edge.wire.protocol import InferCall
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections
from visionscaling_ros.edge.wire.tensor_model import TensorSpec
from visionscaling_ros.errors import VisionScalingError

# What one request of a batch comes to: detections (JPEG), outputs by name (tensor), or its error.
RunResult = RelativeDetections | dict[str, FloatArray] | VisionScalingError


class Workload(NamedTuple):
    """What decides what a request costs. Requests of one workload can share a batch.

    :param input_height_px: of the network's input, as is ``input_width_px``.
    :param source_pixels: of the image before it is fitted, rounded up to a power of two; 0 where
        the tensor itself was sent.
    """

    model: str
    input_height_px: int
    input_width_px: int
    source_pixels: int = 0


class ModelRunner(Protocol):
    """Runs detectors on batches of images.

    ``warm_up`` is called once in every worker thread before anything else there, one thread after
    the other; ``run`` in all of them at once. Everything else is called from the event loop and
    must not take long.
    """

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models it has."""
        ...

    def class_names(self, model: str) -> tuple[str, ...]:
        """Names of the classes that ``class_ids`` of ``model`` count."""
        ...

    def input_sizes_px(self, model: str) -> tuple[int, ...]:
        """The input sizes ``model`` runs at."""
        ...

    def tensor_spec(self, model: str) -> TensorSpec | None:
        """Input and outputs of the network of ``model``, None if it takes JPEG only."""
        ...

    def workload(self, call: InferCall) -> Workload:
        """What ``call`` will cost, by its header or shape; VisionScalingError if it is unusable."""
        ...

    def warm_up(self) -> Mapping[Workload, float]:
        """Whatever makes the first ``run`` as fast as the later ones.

        Returns what one request of each workload took then [s], as far as it was measured.
        """
        ...

    def run(self, model: str, calls: Sequence[InferCall]) -> list[RunResult]:
        """One result for each call, in their order; what is wrong with one spoils no other."""
        ...
