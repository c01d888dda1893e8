"""What comes of a request to the scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.edge.server.model_runner import RunResult
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections
from visionscaling_ros.errors import EdgeError


class OverloadedError(EdgeError):
    """The server has more to do than the request has time for."""


class DrainingError(OverloadedError):
    """The server is about to stop and takes no more requests."""


@dataclass(frozen=True, eq=False)
class Computed:
    """A result and what it took: ``detections``, or the network's output ``tensors`` by name.

    :param compute_s: of the batch it was computed in, from beginning to end.
    :param batch_size: requests in that batch.
    """

    detections: RelativeDetections | None
    tensors: Mapping[str, FloatArray] | None
    queue_s: float
    compute_s: float
    batch_size: int


def outcome(
    result: RunResult | Exception, queue_s: float, compute_s: float, batch_size: int
) -> Computed | Exception:
    """What a runner's result is to who asked: an error stays one."""
    if isinstance(result, Exception):
        return result
    if isinstance(result, RelativeDetections):
        return Computed(result, None, queue_s, compute_s, batch_size)
    return Computed(None, result, queue_s, compute_s, batch_size)
