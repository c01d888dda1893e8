"""Tells systemd how the helper is: sd_notify(3) without its library."""

from __future__ import annotations

import contextlib
import math
import os
import socket


def notify(state: str) -> None:
    """Send a state, for example ``READY=1``; nothing happens without systemd."""
    address = os.environ.get('NOTIFY_SOCKET', '')
    named = address.startswith('@')
    if not (named or address.startswith('/')):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
        link.setblocking(False)
        with contextlib.suppress(OSError):  # a manager that does not listen is its own trouble
            link.sendto(state.encode(), f'\0{address[1:]}' if named else address)


def watchdog_period_s() -> float:
    """How often ``WATCHDOG=1`` is to be sent: twice as often as asked for; infinite if never."""
    limit_us = os.environ.get('WATCHDOG_USEC', '')
    return int(limit_us) * 1e-6 / 2.0 if limit_us.isdecimal() and int(limit_us) else math.inf
