"""A shaped link in a thread of its own, for programs that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any

from visionscaling_ros.edge.link.shaped_link import ShapedLink


class RunningLink:
    """Runs ``link`` while it is entered as a context manager; every method from any thread.

    Entering raises EdgeError where it cannot listen. The methods are those of :class:`ShapedLink`
    and have taken effect when they return.
    """

    def __init__(self, link: ShapedLink) -> None:
        self._link = link
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name='shaped-link')

    def __enter__(self) -> RunningLink:
        self._thread.start()
        try:
            self._run(self._link.start())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._run(self._link.stop())
        self._end()

    @property
    def address(self) -> str:
        """``host:port`` it listens on."""
        return self._link.address

    def stall(self, seconds: float) -> None:
        """Pass nothing for ``seconds``."""
        self._call(lambda: self._link.stall(seconds))

    def dead(self, seconds: float) -> None:
        """Lose everything for ``seconds``."""
        self._call(lambda: self._link.dead(seconds))

    def reset(self) -> None:
        """Reset every connection."""
        self._call(self._link.reset)

    def refuse(self, refused: bool) -> None:
        """Refuse new connections, or accept them again."""
        self._run(self._link.refuse(refused))

    def redirect(self, to: tuple[str, int]) -> None:
        """Lead new connections to another server."""
        self._call(lambda: self._link.redirect(to))

    def _call(self, function: Callable[[], None]) -> None:
        async def call() -> None:
            function()

        self._run(call())

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
