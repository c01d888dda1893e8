"""Calls that may never return."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from visionscaling_ros.errors import HardwareError

Result = TypeVar('Result')


def call_within(timeout_s: float, what: str, function: Callable[[], Result]) -> Result:
    """``function()``, in a thread of its own, waited for at most ``timeout_s``.

    Raises what it raises, and HardwareError naming ``what`` when it has not returned by then: it
    then goes on in its thread, which does not keep the process alive.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name=what, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if errors:
        raise errors[0]
    if not results:
        raise HardwareError(f'{what}: no answer for {timeout_s:g} s')
    return results[0]
