"""Single keys of a terminal, without waiting for Enter."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty

_NAMES = {
    'j': 'down', '\x1b[B': 'down', '\x1bOB': 'down',
    'k': 'up', '\x1b[A': 'up', '\x1bOA': 'up',
    'q': 'quit', 'Q': 'quit',
}  # fmt: skip


def key_names(text: str) -> list[str]:
    """What keys mean: ``up``, ``down`` or ``quit``; others are passed over."""
    names = []
    while text:
        length = next((n for n in (3, 1) if text[:n] in _NAMES), 0)
        if length:
            names.append(_NAMES[text[:length]])
        text = text[length or 1 :]
    return names


class Keyboard:
    """Keys typed while it is open; use as a context manager.

    Without a terminal there are none, and ``wait`` only waits.

    :ivar present: keys can be typed.
    """

    def __init__(self) -> None:
        self.present = sys.stdin is not None and sys.stdin.isatty()

    def __enter__(self) -> Keyboard:
        if self.present:
            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(self, *exception: object) -> None:
        if hasattr(self, '_before'):
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def wait(self, timeout_s: float) -> list[str]:
        """Names of the keys typed within ``timeout_s``; returns at the first."""
        if not self.present:
            time.sleep(timeout_s)
            return []
        if not select.select([sys.stdin], [], [], timeout_s)[0]:
            return []
        typed = os.read(sys.stdin.fileno(), 64)
        if not typed:  # hung up
            self.present = False
        return key_names(typed.decode(errors='replace'))
