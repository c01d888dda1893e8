"""Which detector runs a frame now: the one that was decided, or while it cannot, a stand-in."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from visionscaling_ros.datatypes import Allocation
from visionscaling_ros.errors import ModelError
from visionscaling_ros.pipeline.cost_table import CostTable
from visionscaling_ros.pipeline.detector_port import DetectorPort, ModelsPort

FAILURES = 3  # so many unexpected exceptions in a row are taken for the model's own fault
FIRST_RETRY_S, LAST_RETRY_S = 1.0, 30.0


class LocalService:
    """Keeps frames running while models load or fail. Safe for any thread.

    A model that answers what no detector may (ModelError), or raises ``FAILURES`` times in a row,
    is out of service until ``restore``. When all are, the safe one is tried again, less and less
    often, and is back in service once it works.

    :param costs: the configurations on offer; those of a model out of service are withdrawn.
    :param safe_point: model and input size to run when nothing else is known to work.
    :param on_change: called with a model's name and why it is out of service ('': it is back).
    :param clock: monotonic clock [s].
    """

    def __init__(
        self,
        models: ModelsPort,
        costs: CostTable,
        safe_point: tuple[str, int],
        on_change: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._models = models
        self._costs = costs
        self._on_change = on_change
        self._clock = clock
        self._lock = threading.Lock()
        self.safe_point = safe_point
        self._last_point = safe_point
        self._failures: Counter[str] = Counter()
        self._out: dict[str, str] = {}
        self._retry_s = FIRST_RETRY_S
        self._next_try_s = 0.0

    @property
    def out_of_service(self) -> dict[str, str]:
        """Models that failed, and how."""
        with self._lock:
            return dict(self._out)

    def serve(self, allocation: Allocation) -> tuple[Allocation, DetectorPort] | None:
        """What runs a frame of ``allocation``, and its detector; None: no model can run now."""
        for model, input_size_px in self._candidates(allocation):
            detector = self._models.detector(model)
            if detector is not None:
                served = dataclasses.replace(allocation, model=model, input_size_px=input_size_px)
                return served, detector
        return None

    def succeeded(self, served: Allocation) -> None:
        """A frame ran as ``served``."""
        with self._lock:
            self._failures[served.model] = 0
            self._last_point = served.model, served.input_size_px
        if self._out:
            self.restore(served.model)

    def failed(self, model: str, error: Exception) -> bool:
        """A frame failed in the model; True when that took it out of service."""
        with self._lock:
            self._failures[model] += 1
            if model in self._out:
                self._retry_s = min(2.0 * self._retry_s, LAST_RETRY_S)
                self._next_try_s = self._clock() + self._retry_s
                return False
            if not isinstance(error, ModelError) and self._failures[model] < FAILURES:
                return False
            trouble = words_of(error)
            self._out[model] = trouble
            self._retry_s = FIRST_RETRY_S
            self._next_try_s = self._clock() + self._retry_s
        self._costs.withdraw(model)
        self._on_change(model, trouble)
        return True

    def restore(self, model: str) -> None:
        """Back in service, as if it had never failed."""
        with self._lock:
            self._failures[model] = 0
            if self._out.pop(model, None) is None:
                return
        self._costs.restore(model)
        self._on_change(model, '')

    def forget(self, model: str) -> None:
        """It is no longer among the models; should it come back, it starts anew."""
        with self._lock:
            self._failures[model] = 0
            self._out.pop(model, None)
        self._costs.restore(model)

    def _candidates(self, allocation: Allocation) -> Iterator[tuple[str, int]]:
        """Points in order of preference; the safe one, though it failed, when it is time to try."""
        asked = allocation.model, allocation.input_size_px
        with self._lock:
            out = set(self._out)
            first = [p for p in (asked, self._last_point, self.safe_point) if p[0] not in out]
            again = bool(out) and self._clock() >= self._next_try_s
        yield from first
        offered = sorted(self._costs.points(), key=lambda p: p.gpu_work_ghz_s + p.serial_s)
        yield from ((p.model, p.input_size_px) for p in offered)
        if again:
            yield self.safe_point


def words_of(error: Exception) -> str:
    """An error in one line. What engines raise may be a page, its cause at the end."""
    if isinstance(error, ModelError):
        return str(error)
    *_, last = str(error).strip().splitlines() or ['']
    return f'{type(error).__name__}: {last}'
