"""Kills node and helper round by round, and judges the tree after each."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.trials.clock_kills.driver import ClockDriver
from visionscaling_ros.trials.clock_kills.machine_tree import MachineTree
from visionscaling_ros.trials.clock_kills.plan import (
    BETWEEN,
    HELPER,
    NODE,
    RESTORING,
    STOPPING,
    Kill,
    KillRound,
)
from visionscaling_ros.trials.clock_kills.processes import ClockProcesses
from visionscaling_ros.trials.clock_kills.record import HALFWAY, RoundRecord
from visionscaling_ros.trials.clock_kills.tree_watch import TreeWatch

WRITE_TIMEOUT_S = 20.0
RESTORE_TIMEOUT_S = 20.0
# A start that has nothing to restore writes nothing.
RESTORING_TIMEOUT_S = 3.0
POLL_S = 0.005
HALFWAY_TIMEOUT_S = 5.0
HALT_EVERY_S = 0.002
CLEAN_STOP = 'clean stop'


class KillCampaign:
    """Rounds of one way, each of which has to end with the tree as it was found.

    :param other: the processes of the other way, for rounds in which they take over.
    :param on_record: called after each round.
    """

    def __init__(
        self,
        tree: MachineTree,
        watch: TreeWatch,
        processes: ClockProcesses,
        driver: ClockDriver,
        *,
        other: ClockProcesses | None = None,
        on_record: Callable[[RoundRecord], None] = lambda record: None,
    ) -> None:
        self.records: list[RoundRecord] = []
        self._tree = tree
        self._watch = watch
        self._processes = processes
        self._other = other
        self._driver = driver
        self._on_record = on_record

    def run(self, rounds: Sequence[KillRound]) -> None:
        """All rounds, then a clean stop; raises VisionScalingError when a process cannot be used.

        Between two rounds all processes run and the clock is as it was found.
        """
        for name in self._processes.names:
            self._start(self._processes, name)
        for planned in rounds:
            writes = self._watch.writes
            left: list[str] = []
            violations: list[str] = []
            if planned.crossing:
                restored_s = self._cross_over(planned, left, violations)
            else:
                restored_s = self._go_through(planned, left, violations)
            if restored_s is None:
                violations.append('the tree is not as it was found')
            self._tree.expect_governor()
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
                    planned.governor,
                    planned.crossing,
                )
            )
        if rounds:
            self._stop_cleanly(rounds[0].way)

    def _go_through(
        self, planned: KillRound, left: list[str], violations: list[str]
    ) -> float | None:
        """Kill and kill again, start again; how long the restoring took, None: too long [s]."""
        mine = self._processes
        for number, kill in enumerate(planned.kills):
            if number:
                self._kill_again(planned.targets, kill)
            else:
                violations += self._set_and_kill(mine, planned.targets, kill, planned.governor)
            self._note(left, violations)
        began_s = time.monotonic()
        restored_s = None
        if HELPER in mine.names and HELPER not in planned.targets:
            restored_s = self._wait_until_restored(began_s)
        for name in mine.names:
            if name in planned.targets:
                self._start(mine, name)
        return self._wait_until_restored(began_s) if restored_s is None else restored_s

    def _cross_over(
        self, planned: KillRound, left: list[str], violations: list[str]
    ) -> float | None:
        """Kill all, have the other way's processes go on and kill them too, undo all by a helper.

        A helper undoes what its own user's nodes left as well; a node leaves alone what a helper
        left, and finds it set.
        """
        mine, other = self._processes, self._other
        if other is None:
            raise VisionScalingError('a round with the other way needs its processes')
        violations += self._set_and_kill(mine, mine.names, planned.kills[0])
        self._note(left, violations)
        for name in other.names:
            self._start(other, name)
        if HELPER in other.names and self._wait_until_restored(time.monotonic()) is None:
            violations.append('the helper did not undo what the node had left')
        violations += self._set_and_kill(other, other.names, planned.kills[1])
        self._note(left, violations)
        keeper = mine if HELPER in mine.names else other
        began_s = time.monotonic()
        self._start(keeper, HELPER)
        restored_s = self._wait_until_restored(began_s)
        if keeper is other:
            other.terminate(HELPER)
            other.wait(HELPER)
        for name in mine.names:
            if not mine.is_running(name):
                self._start(mine, name)
        return restored_s

    def _note(self, left: list[str], violations: list[str]) -> None:
        """What a kill left."""
        left.append(self._tree.left())
        violations += self._tree.damage()
        self._driver.rest()

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

    def _start(self, processes: ClockProcesses, name: str) -> None:
        processes.start(name)
        processes.wait_until_ready(name)

    def _set_and_kill(
        self,
        processes: ClockProcesses,
        targets: Sequence[str],
        kill: Kill,
        governor: bool = False,
    ) -> list[str]:
        """While they run; what was wrong before."""
        writes = self._watch.writes
        # What somebody else writes while the clock is left alone would be what is found next.
        self._driver.decide(self._tree.levels_hz, holding=governor)
        violations = self._wait_for_write(writes)
        if governor:
            self._tree.change_governor()
        if kill.moment == STOPPING:
            for name in targets:
                processes.terminate(name)
        time.sleep(kill.delay_s)
        if kill.moment == BETWEEN:
            self._halt_between_writes(processes)
        self._kill_all(processes, targets)
        return violations

    def _halt_between_writes(self, processes: ClockProcesses) -> None:
        """Halt the one that writes until it is halted between two writes."""
        writer = HELPER if HELPER in processes.names else NODE
        deadline_s = time.monotonic() + HALFWAY_TIMEOUT_S
        while time.monotonic() < deadline_s:
            processes.halt(writer)
            if self._tree.left() == HALFWAY:
                return
            processes.go_on(writer)
            time.sleep(HALT_EVERY_S)

    def _kill_again(self, targets: Sequence[str], kill: Kill) -> None:
        """While they come back."""
        writes = self._watch.writes
        for name in self._processes.names:
            if name in targets:
                self._processes.start(name)
        if kill.moment == RESTORING:
            self._watch.wait_for_write(writes, RESTORING_TIMEOUT_S)
        time.sleep(kill.delay_s)
        self._kill_all(self._processes, targets)

    def _kill_all(self, processes: ClockProcesses, targets: Sequence[str]) -> None:
        for name in targets:
            processes.kill(name)
        for name in targets:
            if processes.wait(name) is None:
                raise VisionScalingError(f'the {name} lives on after kill -9')

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
