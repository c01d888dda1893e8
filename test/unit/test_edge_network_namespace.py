"""The bridge against a server in a network namespace of its own, behind a kernel-shaped link.

Needs the privileges for ``ip netns``, ``ip link`` and ``tc``; skipped where they are missing.
"""

from __future__ import annotations

import contextlib
import os
import queue
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from visionscaling_ros.edge.bridge.bridge import EdgeBridge
from visionscaling_ros.edge.bridge.client import GrpcEdgeClient
from visionscaling_ros.edge.wire.offload import OffloadFrame, OffloadOutcome

RATE_BPS = 4e6
PORT = 8001
PATIENCE_S = 30.0
TAG = f'vs{os.getpid() % 1_000_000}'
HERE, THERE = f'{TAG}h', f'{TAG}t'  # an interface's name has 15 characters at most
_BLOCK = os.getpid() % (1 << 14)
NETWORK = f'10.213.{_BLOCK >> 6}'
FIRST = (_BLOCK & 63) * 4
HERE_IP, THERE_IP = f'{NETWORK}.{FIRST + 1}', f'{NETWORK}.{FIRST + 2}'
SERVER = (
    'from edge_tiny_server import BrightestByte\n'
    'from visionscaling_ros.edge.server.server import EdgeServer\n'
    'from visionscaling_ros.edge.server.server_security import ServerSecurity\n'
    f'server = EdgeServer(BrightestByte(), host={THERE_IP!r}, port={PORT}, '
    'security=ServerSecurity(insecure=True))\n'
    'server.serve(lambda address: print(address, flush=True))\n'
)


def shell(command: str) -> None:
    subprocess.run(command.split(), check=True, capture_output=True, text=True, timeout=PATIENCE_S)


@pytest.fixture(scope='module')
def namespace() -> Iterator[str]:
    """A namespace at the end of a veth pair with ``tc tbf`` on the way there."""
    try:
        shell(f'ip netns add {TAG}')
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f'no network namespace here: {getattr(error, "stderr", "") or error}')
    try:
        for command in (
            f'ip link add {HERE} type veth peer name {THERE} netns {TAG}',
            f'ip address add {HERE_IP}/30 dev {HERE}',
            f'ip -n {TAG} address add {THERE_IP}/30 dev {THERE}',
            f'ip -n {TAG} link set lo up',
            f'ip -n {TAG} link set {THERE} up',
            f'ip link set {HERE} up',
            f'tc qdisc add dev {HERE} root tbf rate {RATE_BPS:.0f} burst 8kb latency 100ms',
        ):
            try:
                shell(command)
            except (OSError, subprocess.SubprocessError) as error:
                words = getattr(error, 'stderr', '') or error
                pytest.skip(f'no shaped link here: {command}: {words}')
        yield TAG
    finally:
        subprocess.run(['ip', 'link', 'delete', HERE], capture_output=True, check=False)
        shell(f'ip netns delete {TAG}')


@pytest.fixture(scope='module')
def server(namespace: str) -> Iterator[str]:
    """Address of the real server, which runs in the namespace."""
    program = subprocess.Popen(
        ['ip', 'netns', 'exec', namespace, sys.executable, '-c', SERVER],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
        env={
            **os.environ,
            'PYTHONPATH': f'{Path(__file__).parent}:{os.environ.get("PYTHONPATH", "")}',
        },
    )
    try:
        assert program.stdout is not None
        yield program.stdout.readline().strip()
    finally:
        program.kill()
        program.wait()
        program.stdout.close()


class Robot:
    def __init__(self, address: str) -> None:
        self.outcomes: queue.Queue[OffloadOutcome] = queue.Queue()
        client = GrpcEdgeClient(address, robot_id='r1')
        self.bridge = EdgeBridge(client, on_outcome=self.outcomes.put, probe_interval_s=0.25)
        self.submitted = 0

    def ask(self, *, left_s: float = PATIENCE_S) -> OffloadOutcome:
        number, self.submitted = self.submitted, self.submitted + 1
        jpeg = bytes([number % 256]) + bytes(14_999)
        deadline_s = time.monotonic() + left_s
        self.bridge.submit(OffloadFrame(number, 1, 'tiny', 320, jpeg, 640, 480, deadline_s))
        return self.outcomes.get(timeout=PATIENCE_S)

    def wait_until_reachable(self, expected: bool = True) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while self.bridge.snapshot().reachable is not expected:
            assert time.monotonic() < deadline_s, self.bridge.snapshot()
            time.sleep(0.01)

    def ask_until(self, answered: bool) -> list[OffloadOutcome]:
        deadline_s = time.monotonic() + PATIENCE_S
        outcomes = [self.ask(left_s=0.5)]
        while outcomes[-1].answered is not answered:
            assert time.monotonic() < deadline_s, outcomes[-1]
            outcomes.append(self.ask(left_s=0.5))
        return outcomes


@pytest.fixture
def robot(server: str) -> Iterator[Robot]:
    robot = Robot(server)
    robot.wait_until_reachable()
    with contextlib.closing(robot.bridge):
        yield robot


def test_frames_are_answered_and_the_capacity_of_a_kernel_shaped_link_is_found(
    robot: Robot,
) -> None:
    estimates_bps = []
    for _ in range(12):
        outcome = robot.ask()
        assert outcome.answered, outcome
        assert outcome.detections.class_ids.tolist() == [outcome.frame.frame_number]
        estimates_bps.append(robot.bridge.snapshot().capacity_bps)
    assert RATE_BPS / 2.5 < statistics.median(estimates_bps[4:]) < 2.5 * RATE_BPS


def test_a_link_that_is_taken_down_costs_frames_but_no_accounting_and_comes_back(
    robot: Robot,
) -> None:
    outcomes = robot.ask_until(answered=True)
    shell(f'ip link set {HERE} down')
    try:
        outcomes += robot.ask_until(answered=False)
        robot.wait_until_reachable(False)
        outcomes.append(robot.ask())
        assert outcomes[-1].reason == 'edge_unreachable'
    finally:
        shell(f'ip link set {HERE} up')
    robot.wait_until_reachable()
    outcomes += robot.ask_until(answered=True)
    assert [outcome.frame.frame_number for outcome in outcomes] == list(range(robot.submitted))
    robot.bridge.close()
    snapshot = robot.bridge.snapshot()
    assert snapshot.accepted == robot.submitted == snapshot.answered + snapshot.failed
