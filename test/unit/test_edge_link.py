"""The whole way over real sockets: bridge, shaped link, server, each in its own process."""

from __future__ import annotations

import contextlib
import queue
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from visionscaling_ros.cli.main import main
from visionscaling_ros.edge.bridge.bridge import EdgeBridge
from visionscaling_ros.edge.bridge.client import GrpcEdgeClient
from visionscaling_ros.edge.wire.offload import OffloadFrame, OffloadOutcome

TINY_SERVER = str(Path(__file__).with_name('edge_tiny_server.py'))
COMMAND = 'import sys; from visionscaling_ros.cli.main import main; sys.exit(main())'
PATIENCE_S = 20.0


class Program:
    """A child process that prints its address as the last word of its first line."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.greeting = self.process.stdout.readline().strip()
        self.address = self.greeting.rpartition(' ')[2]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@contextlib.contextmanager
def tiny_server(port: int = 0) -> Iterator[Program]:
    program = Program(TINY_SERVER, str(port))
    try:
        yield program
    finally:
        program.kill()


@contextlib.contextmanager
def shaped_link(target: str, trace: str) -> Iterator[Program]:
    program = Program(
        *('-c', COMMAND, 'link', '--listen', '127.0.0.1:0'),
        *('--to', target, '--trace', trace),
    )
    try:
        yield program
    finally:
        program.kill()


def connect(link: Program) -> socket.socket:
    host, _, port = link.address.rpartition(':')
    return socket.create_connection((host, int(port)), timeout=PATIENCE_S)


class Robot:
    def __init__(self, address: str) -> None:
        self.outcomes: queue.Queue[OffloadOutcome] = queue.Queue()
        self.bridge = EdgeBridge(
            GrpcEdgeClient(address, robot_id='r1'),
            on_outcome=self._on_outcome,
            probe_interval_s=0.25,
        )
        self.submitted = 0
        self.settled: list[int] = []

    def _on_outcome(self, outcome: OffloadOutcome) -> None:
        self.settled.append(outcome.frame.frame_number)
        self.outcomes.put(outcome)

    def submit(self, *, size_bytes: int = 15_000, left_s: float = 2.0) -> int:
        number, self.submitted = self.submitted, self.submitted + 1
        jpeg = bytes([number % 256]) + bytes(size_bytes - 1)
        deadline_s = time.monotonic() + left_s
        self.bridge.submit(OffloadFrame(number, 1, 'tiny', 320, jpeg, 640, 480, deadline_s))
        return number

    def submit_and_wait_until_sent(self, **options: float) -> None:
        before = self.bridge.snapshot().sent_bytes
        self.submit(**options)
        deadline_s = time.monotonic() + PATIENCE_S
        while self.bridge.snapshot().sent_bytes == before:
            assert time.monotonic() < deadline_s, self.bridge.snapshot()
            time.sleep(0.001)

    def wait_until_reachable(self, expected: bool = True) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while self.bridge.snapshot().reachable is not expected:
            assert time.monotonic() < deadline_s, self.bridge.snapshot()
            time.sleep(0.01)

    def ask(self, **options: float) -> OffloadOutcome:
        self.submit(**options)
        return self.outcomes.get(timeout=PATIENCE_S)

    def drain(self) -> list[OffloadOutcome]:
        return [self.outcomes.get_nowait() for _ in range(self.outcomes.qsize())]


@contextlib.contextmanager
def robot_on(address: str) -> Iterator[Robot]:
    robot = Robot(address)
    try:
        yield robot
    finally:
        robot.bridge.close()


def test_what_comes_back_belongs_to_the_frame_that_was_sent() -> None:
    with tiny_server() as server, robot_on(server.address) as robot:
        robot.wait_until_reachable()
        for number in range(20):
            outcome = robot.ask()
            assert outcome.answered, outcome
            assert outcome.frame.frame_number == number
            assert outcome.detections.class_ids.tolist() == [number]
            assert outcome.detections.boxes_px.tolist() == [[0.0, 0.0, 320.0, 480.0]]


@pytest.mark.parametrize('rate_bps', [0.3e6, 1e6, 2e6, 5e6])
def test_capacity_is_about_right(rate_bps: float) -> None:
    """One to three requests at a time share a link whose capacity is known."""
    sizes_bytes = [12_000, 18_000, 9_000]
    estimates_bps = []
    with (
        tiny_server() as server,
        shaped_link(server.address, str(rate_bps)) as link,
        robot_on(link.address) as robot,
    ):
        robot.wait_until_reachable()
        for together in (1, 2, 3):
            for size_bytes in sizes_bytes[:together]:
                # The next one joins it on its way instead of taking its place in the queue.
                robot.submit_and_wait_until_sent(size_bytes=size_bytes, left_s=PATIENCE_S)
            outcomes = [robot.outcomes.get(timeout=PATIENCE_S) for _ in range(together)]
            assert all(outcome.answered for outcome in outcomes)
            estimates_bps.append(robot.bridge.snapshot().capacity_bps)
    assert statistics.mean(estimates_bps) == pytest.approx(rate_bps, rel=0.25)


def test_bytes_come_no_faster_than_the_link() -> None:
    rate_bps, size_bytes = 2e6, 120_000
    with (
        socket.create_server(('127.0.0.1', 0)) as sink,
        shaped_link('{}:{}'.format(*sink.getsockname()), str(rate_bps)) as link,
        connect(link) as sender,
    ):
        receiver, _ = sink.accept()
        sending = threading.Thread(target=sender.sendall, args=(bytes(size_bytes),))
        sending.start()
        arrivals, received = [], 0
        with receiver:
            while received < size_bytes:
                received += len(receiver.recv(65536))
                arrivals.append((time.monotonic(), received))
            (first_s, first), (last_s, last) = arrivals[0], arrivals[-1]
            rate_seen_bps = 8 * (last - first) / (last_s - first_s)
            assert rate_seen_bps == pytest.approx(rate_bps, rel=0.25)
            receiver.sendall(b'back')
            assert sender.recv(4) == b'back'
        sending.join()


def test_a_dead_link_stalls_the_sender() -> None:
    """What fits into the buffers on the way is far less than what gets stuck."""
    with socket.create_server(('127.0.0.1', 0)) as sink:
        sink.settimeout(PATIENCE_S)
        with shaped_link('{}:{}'.format(*sink.getsockname()), '0') as link:
            host, _, port = link.address.rpartition(':')
            sender = socket.socket()
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 << 10)
            sender.connect((host, int(port)))
            receiver, _ = sink.accept()
            sender.settimeout(0.5)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 1 << 20:
                    sent += sender.send(bytes(4096))
            assert sent < 200_000
            receiver.setblocking(False)
            with pytest.raises(BlockingIOError):
                receiver.recv(1)
            sender.close()
            receiver.close()


def test_everything_sent_before_closing_arrives() -> None:
    with (
        socket.create_server(('127.0.0.1', 0)) as sink,
        shaped_link('{}:{}'.format(*sink.getsockname()), '5e6') as link,
        connect(link) as sender,
    ):
        sender.sendall(bytes(30_000))
        sender.shutdown(socket.SHUT_WR)
        receiver, _ = sink.accept()
        received = 0
        with receiver:
            while data := receiver.recv(65536):
                received += len(data)
        assert received == 30_000
        assert sender.recv(1) == b''


def test_a_target_that_is_away_closes_the_connection() -> None:
    with socket.create_server(('127.0.0.1', 0)) as listener:
        away = '{}:{}'.format(*listener.getsockname())
    with shaped_link(away, '1e6') as link:
        for _ in range(3):
            with connect(link) as connection, contextlib.suppress(ConnectionResetError):
                assert connection.recv(1) == b''


@pytest.mark.parametrize('shaped', [False, True])
def test_killing_the_server_loses_no_frame_and_its_return_is_noticed(shaped: bool) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(tiny_server())
        port = int(server.address.rpartition(':')[2])
        address = server.address
        if shaped:
            address = stack.enter_context(shaped_link(server.address, '5e6')).address
        robot = stack.enter_context(robot_on(address))
        for _ in range(2):
            robot.wait_until_reachable()
            while not robot.ask().answered:
                pass
            for _ in range(4):
                robot.submit()
            server.kill()
            while robot.ask().reason != 'edge_unreachable':
                pass
            assert not robot.bridge.snapshot().reachable
            server = stack.enter_context(tiny_server(port))
        robot.wait_until_reachable()
        while not robot.ask().answered:
            pass
        robot.bridge.close()
        snapshot = robot.bridge.snapshot()
        assert sorted(robot.settled) == list(range(robot.submitted))
        assert snapshot.accepted == robot.submitted == snapshot.answered + snapshot.failed
        assert snapshot.in_flight == 0


def test_a_server_that_hangs_is_given_up_and_taken_back() -> None:
    with tiny_server() as server, robot_on(server.address) as robot:
        robot.wait_until_reachable()
        assert robot.ask().answered
        server.process.send_signal(signal.SIGSTOP)
        try:
            reasons = [robot.ask(left_s=0.1).reason for _ in range(3)]
            assert set(reasons) <= {'timeout', 'edge_unreachable'}
            robot.wait_until_reachable(False)
        finally:
            server.process.send_signal(signal.SIGCONT)
        robot.wait_until_reachable()
        while not robot.ask().answered:
            pass


def test_a_dead_period_is_noticed_and_survived(tmp_path: Path) -> None:
    trace = tmp_path / 'gap.csv'
    trace.write_text('time_s,rate_bps\n0,5000000\n1,0\n7,5000000\n90,0\n')
    with (
        tiny_server() as server,
        shaped_link(server.address, str(trace)) as link,
        robot_on(link.address) as robot,
    ):
        robot.wait_until_reachable()
        outcomes = [robot.ask(left_s=0.3)]
        while outcomes[-1].answered:
            outcomes.append(robot.ask(left_s=0.3))
        robot.wait_until_reachable(False)
        robot.wait_until_reachable()
        while not outcomes[-1].answered:
            outcomes.append(robot.ask(left_s=0.3))
        reasons = Counter(outcome.reason for outcome in outcomes)
        assert reasons[''] >= 2
        assert set(reasons) <= {'', 'timeout', 'edge_unreachable'}


def test_the_client_does_not_pile_up_bytes_on_a_slow_link() -> None:
    """A flood of frames leaves only what the window allows on the way."""
    with (
        tiny_server() as server,
        shaped_link(server.address, '1e6') as link,
        robot_on(link.address) as robot,
    ):
        robot.wait_until_reachable()
        for _ in range(300):
            robot.submit(left_s=0.5)
        snapshot = robot.bridge.snapshot()
        assert snapshot.in_flight <= 4
        assert snapshot.sent_bytes <= 4 * 16_000
        robot.bridge.close()
        outcomes = robot.drain()
        assert len(outcomes) == 300
        assert Counter(outcome.reason for outcome in outcomes)['superseded'] > 250


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_both_ends_stop_cleanly_with_a_connection_open(number: int) -> None:
    with tiny_server() as server, shaped_link(server.address, '1e6') as link:
        assert server.greeting == f'edge server ready on {server.address}'
        assert link.greeting.startswith('shaping ')
        assert f'ready on {link.address}' in link.greeting
        with robot_on(link.address) as robot:
            robot.wait_until_reachable()
            robot.submit()
            assert link.stop(number) == 0
            assert server.stop(number) == 0


def test_link_names_what_is_wrong(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        cases = {
            f'cannot listen on 127.0.0.1:{port}': (f'127.0.0.1:{port}', '1e6'),
            '--listen': ('nowhere', '1e6'),
            'missing.csv': ('127.0.0.1:0', str(tmp_path / 'missing.csv')),
        }
        for named, (listen, trace) in cases.items():
            arguments = ['--listen', listen, '--to', '127.0.0.1:1', '--trace', trace]
            assert main(['link', *arguments]) == 2
            said = capfd.readouterr()
            assert named in said.err
            assert len(said.err.splitlines()) == 1
            assert said.out == ''
