"""Detectors in memory: loaded beside the work, the longest unused one freed for the next."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from visionscaling_ros.errors import ModelError
from visionscaling_ros.vision.detector import Detector

IN_USE_S = 2.0  # a detector asked for within this long serves the decision in force
RETRY_S = 2.0  # how soon a detector that found no room is tried again
_MIB = 2**20


@dataclass
class _Held:
    detector: Detector
    memory_bytes: int
    used_s: float = float('-inf')


class ModelCache:
    """Ready detectors by name, loaded one after another in a thread of the cache's own.

    Whoever asks never waits: what is not ready yet is loaded, and meanwhile the caller goes on
    with another detector. Beyond the memory limit the least recently used detector is freed,
    never one that is pinned or was asked for within ``IN_USE_S``. Safe for any thread.

    :param load: makes the detector of a name ready to run (reads, warms up); may take seconds.
    :param memory_bytes_of: memory the detector of a name takes once loaded [B], an estimate.
    :param memory_limit_bytes: most that all detectors may take together [B]; 0: no limit.
    :param on_settled: called in the loading thread when a name is ready (second argument empty)
        or could not be loaded (why). May call back.
    :param clock: monotonic clock [s].
    """

    def __init__(
        self,
        load: Callable[[str], Detector],
        memory_bytes_of: Callable[[str], int],
        *,
        memory_limit_bytes: int = 0,
        on_settled: Callable[[str, str], None] = lambda name, trouble: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._memory_bytes_of = memory_bytes_of
        self._memory_limit_bytes = memory_limit_bytes
        self._on_settled = on_settled
        self._clock = clock
        self._changed = threading.Condition()  # guards everything below
        self._held: OrderedDict[str, _Held] = OrderedDict()  # least recently used first
        self._queue: deque[str] = deque()
        self._loading = ''
        self._errors: dict[str, str] = {}
        self._no_room_s: dict[str, float] = {}  # names whose error is want of room, and since when
        self._pinned: frozenset[str] = frozenset()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name='model_cache', daemon=True)
        self._thread.start()

    def get(self, name: str) -> Detector | None:
        """The detector if it is ready; else None, and it is loaded unless that failed before."""
        with self._changed:
            held = self._held.get(name)
            if held is None:
                self._request(name)
                return None
            held.used_s = self._clock()
            self._held.move_to_end(name)
            return held.detector

    def wait_ready(self, name: str, timeout_s: float | None = None) -> Detector:
        """The detector once it is loaded.

        :raises ModelError: it could not be loaded, or not within ``timeout_s`` [s].
        """
        with self._changed:
            self._request(name)
            self._changed.wait_for(
                lambda: self._closed or name in self._held or not self._pending(name), timeout_s
            )
            if name not in self._held:
                raise ModelError(self._errors.get(name, f'{name}: not loaded in {timeout_s} s'))
            return self._held[name].detector

    def pin(self, names: Collection[str]) -> None:
        """These are not freed from now on; those pinned before may be."""
        with self._changed:
            self._pinned = frozenset(names)

    def discard(self, name: str) -> None:
        """Free the detector and forget what went wrong with it; the next ``get`` loads it anew."""
        with self._changed:
            self._held.pop(name, None)
            self._errors.pop(name, None)
            self._no_room_s.pop(name, None)
            if name in self._queue:
                self._queue.remove(name)
            if name == self._loading:
                self._loading = ''
            self._changed.notify_all()

    def set_memory_limit_bytes(self, memory_limit_bytes: int) -> None:
        """Another limit [B], 0: none; what is over it and not in use is freed."""
        with self._changed:
            self._memory_limit_bytes = memory_limit_bytes
            excess_bytes = self._taken_bytes() - memory_limit_bytes if memory_limit_bytes else 0
            for other in self._idle():
                if excess_bytes <= 0:
                    break
                excess_bytes -= self._held.pop(other).memory_bytes
            for name in self._no_room_s:
                self._errors.pop(name, None)
            self._no_room_s.clear()

    @property
    def errors(self) -> dict[str, str]:
        """Why each detector that could not be loaded could not."""
        with self._changed:
            return dict(self._errors)

    @property
    def short_of_room(self) -> frozenset[str]:
        """Names not loaded for want of room; they are tried again when asked for."""
        with self._changed:
            return frozenset(self._no_room_s)

    @property
    def ready(self) -> tuple[str, ...]:
        """Names in memory, least recently used first."""
        with self._changed:
            return tuple(self._held)

    @property
    def memory_bytes(self) -> int:
        """What the detectors in memory take [B], by estimate."""
        with self._changed:
            return self._taken_bytes()

    def close(self) -> None:
        """Load nothing more, end the thread, free everything."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._held.clear()

    def _pending(self, name: str) -> bool:
        return name in self._queue or name == self._loading

    def _request(self, name: str) -> None:
        if name in self._held or self._pending(name):
            return
        if name in self._errors:
            since_s = self._no_room_s.get(name)
            if since_s is None or self._clock() - since_s < RETRY_S:
                return
        self._queue.append(name)
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return
                name = self._loading = self._queue.popleft()
            self._settle(name, *self._attempt(name))

    def _attempt(self, name: str) -> tuple[_Held | None, str, bool]:
        """What was loaded; else why not, and whether for want of room."""
        try:
            memory_bytes = self._memory_bytes_of(name)
            if trouble := self._make_room(name, memory_bytes):
                return None, trouble, True
            return _Held(self._load(name), memory_bytes), '', False
        except Exception as error:  # a model file may be anything; the robot keeps running
            words = str(error) if isinstance(error, ModelError) else repr(error)
            return None, words if name in words else f'{name}: {words}', False

    def _settle(self, name: str, held: _Held | None, trouble: str, no_room: bool) -> None:
        with self._changed:
            if name != self._loading:  # discarded meanwhile
                return
            self._loading = ''
            self._errors.pop(name, None)
            self._no_room_s.pop(name, None)
            if held is not None:
                self._held[name] = held
            else:
                self._errors[name] = trouble
                if no_room:
                    self._no_room_s[name] = self._clock()
            self._changed.notify_all()
        self._on_settled(name, trouble)

    def _make_room(self, name: str, memory_bytes: int) -> str:
        """Free what must be freed for ``memory_bytes`` more; why that is not possible."""
        with self._changed:
            limit_bytes = self._memory_limit_bytes
            if not limit_bytes:
                return ''
            if memory_bytes > limit_bytes:
                return (
                    f'{name} takes {memory_bytes / _MIB:.1f} MiB, more than memory_limit_mib '
                    f'allows for all models, {limit_bytes / _MIB:.1f} MiB'
                )
            free_bytes = limit_bytes - self._taken_bytes()
            freed = []
            for other in self._idle():
                if free_bytes >= memory_bytes:
                    break
                free_bytes += self._held[other].memory_bytes
                freed.append(other)
            if free_bytes < memory_bytes:
                return (
                    f'{name} takes {memory_bytes / _MIB:.1f} MiB, beside the models in use '
                    f'memory_limit_mib leaves {free_bytes / _MIB:.1f} MiB'
                )
            for other in freed:
                del self._held[other]
            return ''

    def _taken_bytes(self) -> int:
        return sum(held.memory_bytes for held in self._held.values())

    def _idle(self) -> list[str]:
        """Names that may be freed, least recently used first."""
        in_use_since_s = self._clock() - IN_USE_S
        return [
            name
            for name, held in self._held.items()
            if name not in self._pinned and held.used_s < in_use_since_s
        ]
