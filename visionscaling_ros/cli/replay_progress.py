"""How far a bag has been played: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

BAR_PERIOD_S = 0.2
LINE_PERIOD_S = 10.0


class ReplayProgress:
    """Told of each message; shows what is worth it.

    :param bag: name to show.
    :param rate: times as fast as recorded.
    """

    def __init__(self, bag: str, rate: float) -> None:
        self._bag, self._rate = bag, rate
        self._console = Console(stderr=True)
        self._length_s = 0.0
        self._messages = 0
        self._shown_s = 0.0
        self._bar: Progress | None = None
        self._task = TaskID(0)

    @contextlib.contextmanager
    def shown(self, length_s: float) -> Iterator[None]:
        """Show it meanwhile."""
        self._length_s = length_s
        self._shown_s = time.monotonic()
        if not self._console.is_terminal:
            words = f'playing {self._bag}: {length_s:.1f} s at {self._rate:g}x; Ctrl-C ends it'
            print(words, file=sys.stderr, flush=True)
            yield
            return
        with Progress(
            TextColumn('{task.description}', markup=False),
            BarColumn(),
            TextColumn('{task.completed:.1f} of {task.total:.1f} s'),
            TextColumn('{task.fields[messages]} messages'),
            console=self._console,
            transient=True,
        ) as self._bar:
            words = f'{self._bag} at {self._rate:g}x'
            self._task = self._bar.add_task(words, total=length_s, messages=0)
            yield

    def tell_gap(self, wait_s: float) -> None:
        """Say why nothing happens for so long [s]."""
        words = f'the next message comes in {wait_s:.0f} s: a gap in the bag (--start passes it by)'
        self._console.print(words, highlight=False)

    def update(self, bag_s: float) -> None:
        """A message was played, so far into the bag [s]."""
        self._messages += 1
        now_s = time.monotonic()
        period_s = BAR_PERIOD_S if self._bar is not None else LINE_PERIOD_S
        if now_s - self._shown_s < period_s:
            return
        self._shown_s = now_s
        if self._bar is not None:
            self._bar.update(self._task, completed=bag_s, messages=self._messages)
        else:
            words = f'{bag_s:.1f} of {self._length_s:.1f} s, {self._messages} messages'
            print(words, file=sys.stderr, flush=True)
