"""How a request to the edge server can end."""

from __future__ import annotations

import enum

import grpc

from visionscaling_ros.errors import EdgeError


class RequestOutcome(str, enum.Enum):
    """Every request that comes in has exactly one of them in the end."""

    OK = 'ok'
    REFUSED_OVERLOAD = 'refused_overload'  # cannot be done in time, or there is no room
    REFUSED_QUOTA = 'refused_quota'  # its robot asks for more than it may
    UNAUTHENTICATED = 'unauthenticated'  # it does not prove who it is, or may not
    INVALID = 'invalid'  # the request's fault
    FAILED = 'failed'  # the model's or the server's fault
    CANCELLED = 'cancelled'  # the robot gave up, or never finished sending
    DRAINING = 'draining'  # the server is about to end


class RequestRefusedError(EdgeError):
    """A request that gets no result: the status and text it is answered, and how it counts."""

    def __init__(self, code: grpc.StatusCode, outcome: RequestOutcome, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.outcome = outcome
