"""The shaped link over real sockets: what it carries, and what it does to connections."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from visionscaling_ros.edge.address import parse_address
from visionscaling_ros.edge.link.running_link import RunningLink
from visionscaling_ros.edge.link.shaped_link import ShapedLink
from visionscaling_ros.edge.link.trace import LinkTrace
from visionscaling_ros.errors import EdgeError

PATIENCE_S = 20.0
FAST = LinkTrace.constant(50e6)


class Echo:
    """A server that answers every byte with itself and counts what it got."""

    def __init__(self, host: str = '127.0.0.1', answer: bytes = b'') -> None:
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self._answer = answer
        self.address = self._listener.getsockname()[:2]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while data := connection.recv(65536):
                connection.sendall(self._answer or data)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@contextlib.contextmanager
def link_to(
    address: tuple[str, int], trace: LinkTrace = FAST, listen: str = '127.0.0.1', **options: object
) -> Iterator[RunningLink]:
    with RunningLink(ShapedLink((listen, 0), address, trace, **options)) as link:
        yield link


def connect(link: RunningLink) -> socket.socket:
    return socket.create_connection(parse_address(link.address), timeout=PATIENCE_S)


def ask(connection: socket.socket, data: bytes = b'?') -> float:
    started_s = time.monotonic()
    connection.sendall(data)
    received = 0
    while received < len(data):
        received += len(connection.recv(65536))
    return time.monotonic() - started_s


def is_reset(connection: socket.socket) -> bool:
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return False


@pytest.mark.parametrize('rate_bps', [1e6, 8e6])
def test_bytes_pass_at_the_rate_of_the_trace_and_no_faster(rate_bps: float) -> None:
    """Measured between two points of the stream, so that no start or end counts."""
    total = int(rate_bps * 2.0 / 8)
    with (
        socket.create_server(('127.0.0.1', 0)) as sink,
        link_to(sink.getsockname(), LinkTrace.constant(rate_bps)) as link,
        connect(link) as sender,
    ):
        receiver, _ = sink.accept()
        sending = threading.Thread(target=sender.sendall, args=(bytes(total),))
        sending.start()
        marks, received = [], 0
        with receiver:
            while received < total:
                received += len(receiver.recv(65536))
                marks.append((time.monotonic(), received))
        sending.join()
    (first_s, first), (last_s, last) = marks[0], marks[-1]
    ratio = 8.0 * (last - first) / (last_s - first_s) / rate_bps
    assert 0.8 < ratio < 1.05


def test_the_way_back_has_a_rate_of_its_own() -> None:
    total, rate_bps = 100_000, 1e6
    with (
        socket.create_server(('127.0.0.1', 0)) as source,
        link_to(source.getsockname(), downlink=LinkTrace.constant(rate_bps)) as link,
        connect(link) as robot,
    ):
        server, _ = source.accept()
        server.sendall(bytes(total // 2))
        sending = threading.Thread(target=server.sendall, args=(bytes(total // 2),))
        sending.start()
        received, started_s = 0, time.monotonic()
        while received < total:
            received += len(robot.recv(65536))
        elapsed_s = time.monotonic() - started_s
        sending.join()
        server.close()
    assert 8.0 * total / elapsed_s < 1.3 * rate_bps


def test_an_answer_takes_the_round_trip_at_least(echo: Echo) -> None:
    with link_to(echo.address, delay_s=0.05) as link, connect(link) as robot:
        assert ask(robot) >= 2 * 0.1  # the first waits for the connection too
        assert ask(robot) >= 0.1


def test_jitter_and_loss_change_neither_the_bytes_nor_their_order(echo: Echo) -> None:
    sent = bytes(range(256)) * 400
    received = b''
    conditions = {'delay_s': 0.01, 'jitter_s': 0.01, 'loss': 0.05}
    with link_to(echo.address, **conditions) as link, connect(link) as robot:
        sending = threading.Thread(target=robot.sendall, args=(sent,))
        sending.start()
        while len(received) < len(sent):
            received += robot.recv(65536)
        sending.join()
    assert received == sent


def test_all_that_was_answered_before_the_server_closed_arrives() -> None:
    answer = bytes(range(256)) * 200
    received = b''
    with (
        socket.create_server(('127.0.0.1', 0)) as listener,
        link_to(listener.getsockname(), delay_s=0.01) as link,
        connect(link) as robot,
    ):
        server, _ = listener.accept()

        def answer_and_close() -> None:
            with server:
                server.sendall(answer)

        closing = threading.Thread(target=answer_and_close)
        closing.start()
        while data := robot.recv(65536):
            received += data
        closing.join()
    assert received == answer


def test_nothing_passes_a_stall_and_all_of_it_after(echo: Echo) -> None:
    with link_to(echo.address) as link, connect(link) as robot:
        ask(robot)
        link.stall(0.5)
        assert ask(robot, bytes(20_000)) >= 0.4


def test_after_a_dead_time_a_connection_waits_for_its_next_retransmission(echo: Echo) -> None:
    with link_to(echo.address) as link, connect(link) as robot:
        ask(robot)
        link.dead(1.2)
        # sent again 0.2 s, 0.6 s and 1.4 s after it was lost
        assert ask(robot) >= 1.35


def test_a_connection_begun_in_a_dead_time_opens_when_tcp_tries_again(echo: Echo) -> None:
    with link_to(echo.address) as link:
        link.dead(0.8)
        with connect(link) as robot:
            assert ask(robot) >= 0.9  # a second after the first attempt


def test_reset_ends_every_connection_with_an_error_and_new_ones_work(echo: Echo) -> None:
    with link_to(echo.address) as link:
        connections = [connect(link) for _ in range(3)]
        for connection in connections:
            ask(connection)
        link.reset()
        assert all(is_reset(connection) for connection in connections)
        for connection in connections:
            connection.close()
        with connect(link) as again:
            ask(again)


def test_the_server_sees_the_reset_too() -> None:
    with (
        socket.create_server(('127.0.0.1', 0)) as listener,
        link_to(listener.getsockname()) as link,
        connect(link) as robot,
    ):
        server, _ = listener.accept()
        server.settimeout(PATIENCE_S)
        robot.sendall(b'x')
        assert server.recv(1) == b'x'
        link.reset()
        assert is_reset(server)
        server.close()


def test_refusing_is_for_new_connections_only_and_ends_on_the_same_port(echo: Echo) -> None:
    with link_to(echo.address) as link, connect(link) as robot:
        ask(robot)
        link.refuse(True)
        with pytest.raises(ConnectionRefusedError):
            connect(link)
        ask(robot)
        link.refuse(False)
        with connect(link) as again:
            ask(again)


def test_new_connections_can_be_led_elsewhere(echo: Echo) -> None:
    other = Echo(answer=b'other')
    with link_to(echo.address) as link, connect(link) as robot:
        ask(robot)
        link.redirect(other.address)
        ask(robot)
        with connect(link) as elsewhere:
            elsewhere.sendall(b'?')
            assert elsewhere.recv(16) == b'other'
    other.close()


def test_a_server_that_is_away_resets_the_connection() -> None:
    with socket.create_server(('127.0.0.1', 0)) as listener:
        away = listener.getsockname()
    with link_to(away) as link, connect(link) as robot:
        assert is_reset(robot)


@pytest.mark.parametrize('host', ['localhost', '::1'])
def test_names_and_ipv6_addresses_work_at_both_ends(host: str) -> None:
    try:
        server = Echo('::1' if host == '::1' else '127.0.0.1')
    except OSError as error:
        if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            raise
        pytest.skip(f'no IPv6 here: {error}')
    with link_to((host, server.address[1]), listen=host) as link, connect(link) as robot:
        ask(robot)
    server.close()


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        link = RunningLink(ShapedLink(('127.0.0.1', port), ('127.0.0.1', 1), FAST))
        with pytest.raises(EdgeError, match=f'cannot listen on 127.0.0.1:{port}'), link:
            pass
