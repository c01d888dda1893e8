"""A server's words, said so that nobody who does not listen can hold it up."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import queue
import sys
import time
from collections.abc import Iterator

# Lines that wait to be written, and lines a second; more than that helps nobody and fills disks.
MOST_WAITING = 1000
MOST_PER_SECOND = 20

_FORMAT = '%(levelname)s %(message)s'


class _Throttle(logging.Filter):
    """Lets so many records a second pass, and says how many it did not."""

    def __init__(self) -> None:
        super().__init__()
        self._second = 0
        self._passed = 0
        self._dropped = 0

    def filter(self, record: logging.LogRecord) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._passed = second, 0
            if self._dropped:
                record.msg = f'({self._dropped} messages left out) {record.getMessage()}'
                record.args = ()
                self._dropped = 0
        self._passed += 1
        if self._passed > MOST_PER_SECOND:
            self._dropped += 1
            return False
        return True


class _PatientHandler(logging.handlers.QueueHandler):
    """Drops what the writer cannot keep up with."""

    def enqueue(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(record)


@contextlib.contextmanager
def server_log() -> Iterator[None]:
    """Write log records to standard error from a thread of its own.

    A full disk, a closed terminal or a reader that sleeps stops neither the server nor its end.
    """
    writer = logging.StreamHandler()
    writer.setFormatter(logging.Formatter(_FORMAT))
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(MOST_WAITING)
    handler = _PatientHandler(waiting)
    handler.addFilter(_Throttle())
    listener = logging.handlers.QueueListener(waiting, writer)
    root = logging.getLogger()
    root.addHandler(handler)
    raises, logging.raiseExceptions = logging.raiseExceptions, False
    listener.start()
    try:
        yield
    finally:
        root.removeHandler(handler)
        with contextlib.suppress(queue.Full):  # its end mark has no room: the writer hangs
            listener.stop()
        logging.raiseExceptions = raises
        _give_up_full_outputs()


def say(line: str) -> None:
    """Print a line at once; where it cannot be written, it is lost."""
    with contextlib.suppress(OSError, ValueError):
        print(line, flush=True)


def _give_up_full_outputs() -> None:
    """What could not be written would be tried again at exit and spoil the exit status."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError), open(os.devnull, 'wb') as nothing:
                os.dup2(nothing.fileno(), stream.fileno())
