"""A robot that only offloads: a real bridge in a process of its own, fed at a constant rate."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from visionscaling_ros.edge.bridge.bridge import EdgeBridge
from visionscaling_ros.edge.bridge.client import GrpcEdgeClient
from visionscaling_ros.edge.wire.offload import OffloadFrame, OffloadOutcome
from visionscaling_ros.errors import EdgeError

READY_TIMEOUT_S = 60.0
# After its deadline and the bridge's own watchdog every frame has its outcome.
SETTLE_S = 2.0

MeasureT = TypeVar('MeasureT')


@dataclass(frozen=True)
class RobotLoad:
    """What one robot asks of a server.

    :param settling_s: outcomes of this first part of ``duration_s`` are not measured.
    """

    robot_id: str
    model: str
    input_size_px: int
    jpeg: bytes = field(repr=False)
    rate_fps: float
    deadline_s: float
    duration_s: float
    settling_s: float


@dataclass(frozen=True)
class RobotAccount:
    """What became of a robot's frames.

    :param sent: requests that left the robot.
    :param failed: frames without an answer, by reason.
    :param unanswered_sent: those of them that had left, by reason.
    :param latency_s: of each frame answered within the measured time; ``compute_s`` is what the
        server says its batch took to compute.
    """

    submitted: int
    sent: int
    answered: int
    failed: dict[str, int]
    unanswered_sent: dict[str, int]
    measured_s: float
    latency_s: tuple[float, ...]
    compute_s: tuple[float, ...]

    @property
    def measured_fps(self) -> float:
        """Answers a second within the measured time."""
        return len(self.latency_s) / self.measured_s


def run_robots(
    address: str, loads: Sequence[RobotLoad], measure: Callable[[], MeasureT]
) -> tuple[list[RobotAccount], MeasureT, MeasureT]:
    """Let robots load the server at ``address`` together; raises EdgeError if one fails.

    Returns what became of their frames, and what ``measure`` returned at the beginning and at the
    end of the measured time, which is that of the first robot.
    """
    context = multiprocessing.get_context('spawn')
    with contextlib.ExitStack() as stack:
        robots = [stack.enter_context(_robot_process(context, address, load)) for load in loads]
        for load, robot in zip(loads, robots, strict=True):
            _receive(robot, load, READY_TIMEOUT_S)
        for robot in robots:
            robot.send('go')
        time.sleep(loads[0].settling_s)
        before = measure()
        time.sleep(loads[0].duration_s - loads[0].settling_s)
        after = measure()
        accounts = [
            _receive(robot, load, load.deadline_s + READY_TIMEOUT_S)
            for load, robot in zip(loads, robots, strict=True)
        ]
        return accounts, before, after


@contextlib.contextmanager
def _robot_process(context: Any, address: str, load: RobotLoad) -> Iterator[Connection]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_robot, args=(theirs, address, load), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(SETTLE_S)
        if process.is_alive():
            process.terminate()
            process.join()


def _receive(robot: Connection, load: RobotLoad, timeout_s: float) -> Any:
    try:
        if robot.poll(timeout_s):
            return robot.recv()
    except EOFError as error:
        raise EdgeError(f'robot {load.robot_id}: its process ended') from error
    raise EdgeError(f'robot {load.robot_id} said nothing for {timeout_s:g} s')


def _robot(parent: Connection, address: str, load: RobotLoad) -> None:
    """The robot's process: say when the server is there, wait for the word, load it, report."""
    with contextlib.suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        books = _Books(load)
        bridge = EdgeBridge(
            GrpcEdgeClient(address, robot_id=load.robot_id), on_outcome=books.outcome
        )
        try:
            while not bridge.snapshot().reachable:
                time.sleep(0.05)
            parent.send('ready')
            parent.recv()
            books.start_s = time.monotonic()
            _feed(bridge, load, books)
            books.wait_until_settled()
            account = books.account()
        finally:
            bridge.close()
        parent.send(account)


def _feed(bridge: EdgeBridge, load: RobotLoad, books: _Books) -> None:
    for number in range(round(load.rate_fps * load.duration_s)):
        due_s = books.start_s + number / load.rate_fps
        time.sleep(max(0.0, due_s - time.monotonic()))
        books.submitted += 1
        bridge.submit(
            OffloadFrame(
                frame_number=number,
                slot=0,
                model=load.model,
                input_size_px=load.input_size_px,
                payload=load.jpeg,
                image_width_px=load.input_size_px,
                image_height_px=load.input_size_px,
                deadline_monotonic_s=time.monotonic() + load.deadline_s,
            )
        )


class _Books:
    """Takes every outcome."""

    def __init__(self, load: RobotLoad) -> None:
        self._load = load
        self._changed = threading.Condition()
        self.start_s = 0.0
        self.submitted = 0
        self._settled = 0
        self._sent = 0
        self._failed: Counter[str] = Counter()
        self._unanswered_sent: Counter[str] = Counter()
        self._answered = 0
        self._measured: list[OffloadOutcome] = []

    def outcome(self, outcome: OffloadOutcome) -> None:
        """The bridge's callback."""
        since_s = time.monotonic() - self.start_s
        with self._changed:
            self._settled += 1
            self._sent += outcome.upload_bytes > 0
            if outcome.answered:
                self._answered += 1
                if self._load.settling_s <= since_s <= self._load.duration_s:
                    self._measured.append(outcome)
            else:
                self._failed[outcome.reason] += 1
                self._unanswered_sent[outcome.reason] += outcome.upload_bytes > 0
            self._changed.notify_all()

    def wait_until_settled(self) -> None:
        """Until every submitted frame has its outcome."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._settled == self.submitted, self._load.deadline_s + SETTLE_S
            )

    def account(self) -> RobotAccount:
        """The sums."""
        with self._changed:
            return RobotAccount(
                submitted=self.submitted,
                sent=self._sent,
                answered=self._answered,
                failed=dict(self._failed),
                unanswered_sent=dict(+self._unanswered_sent),
                measured_s=self._load.duration_s - self._load.settling_s,
                latency_s=tuple(outcome.elapsed_s for outcome in self._measured),
                compute_s=tuple(outcome.compute_s for outcome in self._measured),
            )
