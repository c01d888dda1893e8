"""Puts a running robot through faults, one by one, and judges what became of its frames."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.trials.faults.bench import SLOT_S, FaultBench
from visionscaling_ros.trials.faults.fate_ledger import MISSING_S, LedgerNotes
from visionscaling_ros.trials.faults.fault import Fault
from visionscaling_ros.trials.faults.observer import EDGE_RESULT
from visionscaling_ros.trials.faults.plan import PlannedFault
from visionscaling_ros.trials.faults.process_health import ProcessGrowth, ProcessHealth
from visionscaling_ros.trials.faults.record import FaultRecord

# How long results may take to come back before the campaign goes on without.
PATIENCE_S = 30.0
# Between two faults, so that what one leaves behind is not taken for the next one's.
REST_S = 0.5


@dataclass(frozen=True)
class Limits:
    """What a fault may cost.

    :param slots_to_resume: slots until the edge server answers again after a fault.
    :param gap_slots: slots without a processed frame.
    :param rss_growth: share by which a process may grow over the campaign, 0.05: by 5 %.
    """

    slots_to_resume: int = 2
    gap_slots: float = 2.0
    rss_growth: float = 0.05


class Campaign:
    """Use once; :attr:`records` hold what was done, also when it was interrupted.

    :param on_record: called after each fault.
    """

    def __init__(
        self,
        bench: FaultBench,
        limits: Limits,
        on_record: Callable[[FaultRecord], None] = lambda record: None,
    ) -> None:
        self.records: list[FaultRecord] = []
        self._bench = bench
        self._limits = limits
        self._on_record = on_record
        self._health = ProcessHealth()
        self._at_faulty_server = False

    def run(self, faults: Sequence[PlannedFault]) -> None:
        """Inject all of them; raises VisionScalingError when a fault cannot be injected."""
        for planned in faults:
            self._lead_to(faulty=planned.kind.spoils_replies)
            record = self._go_through(planned)
            self.records.append(record)
            self._on_record(record)
            self._health.sample(self._bench.pids())

    def growth(self) -> list[ProcessGrowth]:
        """Memory and threads of the processes that ran for long enough to tell."""
        return self._health.growth()

    def violations_at_the_end(self) -> list[str]:
        """What is wrong with the run as a whole, in words."""
        time.sleep(MISSING_S)  # for the fates of the last frames
        words = list(self._bench.observer.ledger.take(time.monotonic()).violations)
        for growth in self.growth():
            if growth.rss_growth > self._limits.rss_growth:
                words.append(
                    f'{growth.name} grew by {100.0 * growth.rss_growth:.1f} % '
                    f'to {growth.rss_end_mib:.1f} MiB'
                )
            if growth.keeps_adding_threads:
                words.append(
                    f'{growth.name} went from {growth.threads_early_max} threads at most to '
                    f'{growth.threads_end}'
                )
        return words

    def _go_through(self, planned: PlannedFault) -> FaultRecord:
        bench, ledger = self._bench, self._bench.observer.ledger
        before = ledger.take(time.monotonic()).violations
        pids = bench.pids()
        fault = planned.kind.make(bench, planned.seconds)
        began_s = time.monotonic()
        try:
            fault.inject()
            time.sleep(max(0.0, began_s + planned.seconds - time.monotonic()))
        finally:
            failures = self._heal(fault)
        healed_s = time.monotonic()
        resumed_s = bench.observer.wait_for(EDGE_RESULT, healed_s, PATIENCE_S)
        time.sleep(REST_S)
        notes = ledger.take(time.monotonic())
        slots = None if resumed_s is None else math.ceil((resumed_s - healed_s) / SLOT_S)
        gap_slots = notes.longest_gap_s / SLOT_S
        died = self._died(pids, planned.kind.kills)
        return FaultRecord(
            len(self.records) + 1,
            planned.kind.name,
            healed_s - began_s,
            slots,
            gap_slots,
            notes.arrived,
            notes.fates['local'],
            notes.fates['edge'],
            notes.fates['dropped'],
            (
                *before,
                *failures,
                *notes.violations,
                *self._late(slots, gap_slots, notes),
                *died,
            ),
        )

    def _heal(self, fault: Fault) -> list[str]:
        """Undo it; a server that does not come back then is a violation, and started once more."""
        try:
            fault.heal()
        except VisionScalingError as error:
            if not self._bench.server.is_running:
                self._bench.server.start()
            return [str(error)]
        return []

    def _late(self, slots: int | None, gap_slots: float, notes: LedgerNotes) -> list[str]:
        words = []
        if slots is None:
            words.append(f'the edge server answered no frame within {PATIENCE_S:.0f} s')
        elif slots > self._limits.slots_to_resume:
            words.append(f'the edge server answered frames only after {slots} slots')
        if gap_slots > self._limits.gap_slots:
            words.append(f'no frame was processed for {gap_slots:.1f} slots')
        if not notes.arrived:
            words.append('no frame arrived')
        return words

    def _died(self, pids: Mapping[str, int], kills: frozenset[str]) -> list[str]:
        now = self._bench.pids()
        other = [name for name, pid in pids.items() if now[name] != pid and name not in kills]
        ended = [name for name in self._bench.ended() if name not in other]
        return [f'{name} died' for name in (*other, *ended)]

    def _lead_to(self, *, faulty: bool) -> None:
        """Put the faulty server between link and server, or take it away."""
        if faulty == self._at_faulty_server:
            return
        bench = self._bench
        bench.route(bench.faulty.address if faulty else bench.server.address)
        self._at_faulty_server = faulty
        if bench.observer.wait_for(EDGE_RESULT, time.monotonic() + REST_S, PATIENCE_S) is None:
            raise VisionScalingError('the edge server answers no frame behind another server')
