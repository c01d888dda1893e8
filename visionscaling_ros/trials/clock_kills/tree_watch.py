"""Sees every write to a file tree, whoever makes it."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from visionscaling_ros.trials.clock_kills.machine_tree import MachineTree

# linux/inotify.h; inotify(7)
EVENTS = {
    0x2: 'modified', 0x4: 'metadata changed', 0x8: 'closed after writing', 0x40: 'moved away',
    0x80: 'moved here', 0x100: 'created', 0x200: 'deleted', 0x400: 'deleted', 0x800: 'moved',
}  # fmt: skip
IN_MODIFY, IN_CLOSE_WRITE, IN_Q_OVERFLOW = 0x2, 0x8, 0x4000
WATCHED = sum(EVENTS)
HEADER = struct.Struct('iIII')
BUFFER_BYTES = 1 << 16
POLL_S = 0.2


class TreeWatch:
    """A thread that reads inotify's events of all folders of a tree; a context manager.

    Writes to the files that may be written are counted and the values seen judged; anything else
    is a violation.
    """

    def __init__(self, tree: MachineTree) -> None:
        self._tree = tree
        self._changed = threading.Condition()
        self._violations: list[str] = []
        self._writes = 0
        self._written: set[Path] = set()  # and not closed since
        self._stopping = threading.Event()

    def __enter__(self) -> TreeWatch:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        _check(self._descriptor)
        self._folders: dict[int, Path] = {}
        for folder in self._tree.folders():
            watch = libc.inotify_add_watch(self._descriptor, os.fsencode(folder), WATCHED)
            _check(watch)
            self._folders[watch] = folder
        self._thread = threading.Thread(target=self._run, name='tree watch', daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._read()  # what came since
        os.close(self._descriptor)

    @property
    def writes(self) -> int:
        """Writes to files that may be written, so far."""
        with self._changed:
            return self._writes

    def wait_for_write(self, after: int, timeout_s: float) -> bool:
        """Until there were more than ``after`` writes; whether there were in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._writes > after, timeout_s)

    def take_violations(self) -> list[str]:
        """What was wrong since the last call, in words."""
        with self._changed:
            taken, self._violations = self._violations, []
            return taken

    def _run(self) -> None:
        while not self._stopping.is_set():
            if select.select([self._descriptor], [], [], POLL_S)[0]:
                self._read()

    def _read(self) -> None:
        found: list[str] = []
        writes = 0
        for path, mask in self._events():
            if path in self._tree.written and not mask & ~(IN_MODIFY | IN_CLOSE_WRITE):
                if mask & IN_MODIFY:
                    self._written.add(path)
                elif path in self._written:  # else it was opened for its lock only
                    self._written.remove(path)
                    writes += 1
                wrong = self._tree.wrong_value(path)
                found += [wrong] if wrong else []
            else:
                found.append(f'{path} was {_words(mask)}')
        with self._changed:
            self._writes += writes
            self._violations += found
            self._changed.notify_all()

    def _events(self) -> Iterator[tuple[Path, int]]:
        try:
            data = os.read(self._descriptor, BUFFER_BYTES)
        except BlockingIOError:
            return
        offset = 0
        while offset < len(data):
            watch, mask, _, length = HEADER.unpack_from(data, offset)
            name = data[offset + HEADER.size : offset + HEADER.size + length].rstrip(b'\0')
            offset += HEADER.size + length
            folder = self._folders.get(watch, self._tree.root)
            yield (folder / os.fsdecode(name) if name else folder), mask


def _words(mask: int) -> str:
    if mask & IN_Q_OVERFLOW:
        return 'written so often that events were lost'
    return ', '.join(words for bit, words in EVENTS.items() if mask & bit) or f'changed ({mask:#x})'


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
