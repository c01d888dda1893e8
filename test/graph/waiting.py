"""Waits for what nobody tells."""

from __future__ import annotations

import time
from collections.abc import Callable

from graph_observer import TIMEOUT_S

POLL_S = 0.02


def until(holds: Callable[[], object], what: str) -> None:
    """Wait until it holds, such as that a subscription is matched."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline_s, f'never: {what}'
        time.sleep(POLL_S)
