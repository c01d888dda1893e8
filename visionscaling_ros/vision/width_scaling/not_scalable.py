"""The error for a network, or a part of one, whose width cannot be scaled."""

from __future__ import annotations

from visionscaling_ros.errors import VisionScalingError


class NotScalableError(VisionScalingError):
    """Names the node of the traced network, what it does there, and why it stands in the way.

    :param node: name in the traced graph, with the module it belongs to where there is one.
    :param operation: module type, function or method.
    :param reason: why, and what is allowed instead.
    """

    def __init__(self, node: str, operation: str, reason: str) -> None:
        super().__init__(f'{node} ({operation}) cannot be scaled: {reason}')
        self.node = node
        self.operation = operation
        self.reason = reason
