"""Models whose input tensor is sent instead of a JPEG: what both ends have to know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections


class TensorModel(Protocol):
    """How the robot asks a server for a network's output, and reads it."""

    @property
    def input_name(self) -> str:
        """The input tensor's name on the server."""
        ...

    @property
    def output_names(self) -> tuple[str, ...]:
        """The output tensors' names on the server, in the order ``decode`` takes them."""
        ...

    def decode(self, tensors: Sequence[FloatArray], frame: OffloadFrame) -> RelativeDetections:
        """What the network found in ``frame``; raises EdgeError for an output it cannot read."""
        ...


class TensorSpec(NamedTuple):
    """The network of a model as a server offers it; -1 in a shape stands for any length."""

    input_name: str
    input_shape: tuple[int, ...]
    outputs: Mapping[str, tuple[int, ...]]
