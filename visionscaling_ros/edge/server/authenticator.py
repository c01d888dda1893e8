"""Tells which robot a request comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc

from visionscaling_ros.edge.server.peer import address_group, parse_peer
from visionscaling_ros.edge.server.request_outcome import RequestOutcome, RequestRefusedError
from visionscaling_ros.edge.server.robot_directory import RobotDirectory, RobotEntry

_SCHEME = 'bearer '


@dataclass(frozen=True)
class Caller:
    """Where a request comes from.

    ``robot_id``: proven, '' where nothing is asked to be. ``key``: what limits count by, the robot
    or else its network address. ``entry``: what it may, where there is a list of robots.
    """

    key: str
    robot_id: str = ''
    entry: RobotEntry | None = None


class Authenticator:
    """Robots by their token, by their certificate, or by both, which then must be of one robot.

    :param robots: those that are let in; None: all whose certificate is good, or simply all.
    :param certificates: whether connections have one that was checked.
    """

    def __init__(self, robots: RobotDirectory | None, *, certificates: bool) -> None:
        self._robots = robots
        self._certificates = certificates

    @property
    def authenticates(self) -> bool:
        """Whether anything has to be proven."""
        return self._robots is not None or self._certificates

    def identify(self, context: Any) -> Caller:
        """The caller of a request; raises RequestRefusedError."""
        if not self.authenticates:
            return Caller(key=address_group(parse_peer(context.peer())[0]))
        names = _certificate_names(context.auth_context()) if self._certificates else ()
        if self._robots is None:
            if not names:
                raise _unauthenticated('the certificate has no common name')
            return Caller(key=names[0], robot_id=names[0])
        token = bearer_token(context.invocation_metadata())
        if token is not None:
            entry = self._robots.find(token)
            if entry is None:
                raise _unauthenticated('the token is not known here')
            if self._certificates and entry.robot_id not in names:
                raise _denied(f'the token is that of another robot than the certificate {names}')
        else:
            entry = next(filter(None, map(self._robots.get, names)), None)
            if entry is None or entry.token_digests:
                raise _unauthenticated('no token: metadata authorization: Bearer TOKEN is needed')
        return Caller(key=entry.robot_id, robot_id=entry.robot_id, entry=entry)

    def identify_if_given(self, context: Any) -> Caller:
        """The caller of a request that needs no token.

        A wrong one is refused all the same, so that a robot finds out from its probes.
        """
        if self._robots is not None and bearer_token(context.invocation_metadata()) is not None:
            return self.identify(context)
        return Caller(key=address_group(parse_peer(context.peer())[0]))


def bearer_token(metadata: Any) -> str | None:
    """The token of ``authorization: Bearer TOKEN``, None where there is none."""
    for key, value in metadata or ():
        is_text = key == 'authorization' and isinstance(value, str)
        if is_text and value[: len(_SCHEME)].lower() == _SCHEME:
            return str(value[len(_SCHEME) :].strip())
    return None


def check_robot_id(caller: Caller, claimed: str) -> None:
    """Refuse a request that says it is another robot's; raises RequestRefusedError."""
    if caller.robot_id and claimed and claimed != caller.robot_id:
        raise _denied(f'robot_id is {claimed!r}, but the caller is {caller.robot_id!r}')


def check_model(caller: Caller, model: str) -> None:
    """Refuse a model the robot may not use; raises RequestRefusedError."""
    allowed = caller.entry.models if caller.entry is not None else None
    if allowed is not None and model not in allowed:
        raise _denied(f'model {model!r} is not for {caller.robot_id}, allowed: {sorted(allowed)}')


def _certificate_names(auth_context: Mapping[str, Any]) -> tuple[str, ...]:
    """Common name and alternative names of a certificate that was checked."""
    keys = ('x509_common_name', 'x509_subject_alternative_name')
    values = [value for key in keys for value in auth_context.get(key, ())]
    return tuple(value.decode('utf-8', 'replace') for value in values if value)


def _unauthenticated(message: str) -> RequestRefusedError:
    code = grpc.StatusCode.UNAUTHENTICATED
    return RequestRefusedError(code, RequestOutcome.UNAUTHENTICATED, message)


def _denied(message: str) -> RequestRefusedError:
    code = grpc.StatusCode.PERMISSION_DENIED
    return RequestRefusedError(code, RequestOutcome.UNAUTHENTICATED, message)
