"""Kills node and helper round by round, and judges the tree after each."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.trials.clock_kills.driver import ClockDriver
from visionscaling_ros.trials.clock_kills.machine_tree import MachineTree
from visionscaling_ros.trials.clock_kills.plan import (
    HELPER,
    RESTORING,
    STOPPING,
    Kill,
    KillRound,
)
from visionscaling_ros.trials.clock_kills.processes import ClockProcesses
from visionscaling_ros.trials.clock_kills.record import AS_FOUND, HALFWAY, SET, RoundRecord
from visionscaling_ros.trials.clock_kills.tree_watch import TreeWatch

WRITE_TIMEOUT_S = 20.0
RESTORE_TIMEOUT_S = 20.0
# A start that has nothing to restore writes nothing.
RESTORING_TIMEOUT_S = 3.0
POLL_S = 0.005
CLEAN_STOP = 'clean stop'


class KillCampaign:
    """Rounds of one way, each of which has to end with the tree as it was found.

    :param on_record: called after each round.
    """

    def __init__(
        self,
        tree: MachineTree,
        watch: TreeWatch,
        processes: ClockProcesses,
        driver: ClockDriver,
        on_record: Callable[[RoundRecord], None] = lambda record: None,
    ) -> None:
        self.records: list[RoundRecord] = []
        self._tree = tree
        self._watch = watch
        self._processes = processes
        self._driver = driver
        self._on_record = on_record

    def run(self, rounds: Sequence[KillRound]) -> None:
        """All rounds, then a clean stop; raises VisionScalingError when a process cannot be used.

        Between two rounds all processes run and the clock is as it was found.
        """
        for name in self._processes.names:
            self._start(name)
        for planned in rounds:
            self._go_through(planned)
        if rounds:
            self._stop_cleanly(rounds[0].way)

    def _go_through(self, planned: KillRound) -> None:
        writes, left = self._watch.writes, []
        self._driver.decide(self._tree.levels_hz)
        violations = self._wait_for_write(writes)
        for number, kill in enumerate(planned.kills):
            if number:
                self._kill_again(planned.targets, kill)
            else:
                self._kill(planned.targets, kill)
            left.append(self._left())
            violations += self._tree.damage()
            self._driver.rest()
        began_s = time.monotonic()
        restored_s = None
        if HELPER in self._processes.names and HELPER not in planned.targets:
            restored_s = self._wait_until_restored(began_s)
        for name in self._processes.names:
            if name in planned.targets:
                self._start(name)
        if restored_s is None:
            restored_s = self._wait_until_restored(began_s)
        if restored_s is None:
            violations.append('the tree is not as it was found')
        self._judge(
            RoundRecord(
                len(self.records) + 1,
                planned.way,
                ' then '.join(planned.targets),
                tuple(kill.moment for kill in planned.kills),
                tuple(left),
                self._watch.writes - writes,
                restored_s,
                tuple(violations),
            )
        )

    def _stop_cleanly(self, way: str) -> None:
        """SIGTERM while decisions come; it has to leave nothing."""
        writes = self._watch.writes
        self._driver.decide(self._tree.levels_hz)
        violations = self._wait_for_write(writes)
        began_s = time.monotonic()
        for name in reversed(self._processes.names):
            self._processes.terminate(name)
            status = self._processes.wait(name)
            if status != 0:
                violations.append(f'the {name} ended with {status} after SIGTERM')
            if not self._tree.is_as_found():
                violations.append(f'the {name} ended and left the tree set')
        self._driver.rest()
        writes, number = self._watch.writes - writes, len(self.records) + 1
        restored_s = time.monotonic() - began_s
        self._judge(
            RoundRecord(number, way, CLEAN_STOP, (), (), writes, restored_s, tuple(violations))
        )

    def _judge(self, record: RoundRecord) -> None:
        """Keep it, with what tree and watch say."""
        wrong = (*record.violations, *self._tree.damage(), *self._watch.take_violations())
        record = dataclasses.replace(record, violations=tuple(dict.fromkeys(wrong)))
        self.records.append(record)
        self._on_record(record)

    def _start(self, name: str) -> None:
        self._processes.start(name)
        self._processes.wait_until_ready(name)

    def _kill(self, targets: Sequence[str], kill: Kill) -> None:
        """While they run."""
        if kill.moment == STOPPING:
            for name in targets:
                self._processes.terminate(name)
        time.sleep(kill.delay_s)
        self._kill_all(targets)

    def _kill_again(self, targets: Sequence[str], kill: Kill) -> None:
        """While they come back."""
        writes = self._watch.writes
        for name in self._processes.names:
            if name in targets:
                self._processes.start(name)
        if kill.moment == RESTORING:
            self._watch.wait_for_write(writes, RESTORING_TIMEOUT_S)
        time.sleep(kill.delay_s)
        self._kill_all(targets)

    def _kill_all(self, targets: Sequence[str]) -> None:
        for name in targets:
            self._processes.kill(name)
        for name in targets:
            if self._processes.wait(name) is None:
                raise VisionScalingError(f'the {name} lives on after kill -9')

    def _left(self) -> str:
        if self._tree.is_as_found():
            return AS_FOUND
        low, high = (path.read_bytes() for path in self._tree.limits)
        return SET if low == high else HALFWAY

    def _wait_for_write(self, after: int) -> list[str]:
        if self._watch.wait_for_write(after, WRITE_TIMEOUT_S):
            return []
        return [f'nobody set the clock within {WRITE_TIMEOUT_S:.0f} s']

    def _wait_until_restored(self, began_s: float) -> float | None:
        """How long after ``began_s`` the tree was as found; None if it was not in time."""
        deadline_s = time.monotonic() + RESTORE_TIMEOUT_S
        while not self._tree.is_as_found():
            if time.monotonic() > deadline_s:
                return None
            time.sleep(POLL_S)
        return time.monotonic() - began_s
