"""Requests for anything but inference, let in as carefully.

A message takes its memory while it arrives, however little it should hold. So these calls, too, are
streams of one message: it is received once it is known who asks, and of few at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from google.protobuf.message import DecodeError

from visionscaling_ros.edge.server.authenticator import Authenticator, Caller
from visionscaling_ros.edge.server.request_gate import RequestGate
from visionscaling_ros.edge.server.request_reader import invalid, receive
from visionscaling_ros.edge.server.server_limits import ServerLimits

# Messages that arrive at a time: of all callers, and of one.
MOST_AT_ONCE = 32
MOST_OF_ONE = 8
# They hold a name or two.
MOST_BYTES = 64 << 10


class SmallRequests:
    """Lets them in. For the server's loop only; everything raises RequestRefusedError.

    :param note_request: called with the peer of every request that is let in.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        limits: ServerLimits,
        note_request: Callable[[str], None],
    ) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._note_request = note_request
        self._gate = RequestGate(
            replace(limits, requests=MOST_AT_ONCE, requests_per_robot=MOST_OF_ONE)
        )

    def sign_of_life(self, context: Any) -> Caller:
        """Who asks for one, which needs no token."""
        caller = self._authenticator.identify_if_given(context)
        self._note_request(context.peer())
        return caller

    def known(self, context: Any) -> Caller:
        """Who asks for what needs one."""
        caller = self._authenticator.identify(context)
        self._note_request(context.peer())
        return caller

    async def receive(self, context: Any, caller: Caller, message_type: Any) -> Any:
        """The message of the request, a ``message_type``."""
        # without its entry: what a robot may send a second is said of frames
        with self._gate.admit(Caller(key=caller.key)):
            data = await receive(context, self._limits)
        if len(data) > MOST_BYTES:
            raise invalid(f'the message has {len(data)} bytes, allowed: {MOST_BYTES}')
        try:
            return message_type.FromString(data)
        except DecodeError as error:
            raise invalid(f'no {message_type.DESCRIPTOR.name}') from error
