"""The relay between gRPC and the network, over real sockets."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from visionscaling_ros.edge.bridge.client import GrpcEdgeClient
from visionscaling_ros.edge.bridge.pacer import Pacer
from visionscaling_ros.edge.bridge.uplink import MeteredUplink
from visionscaling_ros.edge.wire.offload import FailureReason, OffloadError
from visionscaling_ros.errors import InvalidValueError

PATIENCE_S = 20.0


@contextlib.contextmanager
def far_end() -> Iterator[tuple[socket.socket, str]]:
    with socket.create_server(('127.0.0.1', 0)) as listener:
        listener.settimeout(PATIENCE_S)
        yield listener, f'127.0.0.1:{listener.getsockname()[1]}'


@contextlib.contextmanager
def uplink_to(address: str, pacer: Pacer | None = None) -> Iterator[MeteredUplink]:
    uplink = MeteredUplink(address)
    if pacer is not None:
        uplink.attach(pacer)
    try:
        yield uplink
    finally:
        uplink.close()


def near_end(uplink: MeteredUplink) -> socket.socket:
    near = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    near.settimeout(PATIENCE_S)
    near.connect('\0' + uplink.target.removeprefix('unix-abstract:'))
    return near


def read(source: socket.socket, count: int) -> bytes:
    data = b''
    while len(data) < count:
        more = source.recv(count - len(data))
        assert more, f'ended after {len(data)} of {count} bytes'
        data += more
    return data


def wait_until(condition: Callable[[], object]) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_s
        time.sleep(0.002)


def test_bytes_pass_both_ways_and_those_that_leave_are_counted() -> None:
    pacer, sent = Pacer(), os.urandom(300_000)
    with (
        far_end() as (listener, address),
        uplink_to(address, pacer) as uplink,
        near_end(uplink) as near,
    ):
        sending = threading.Thread(target=near.sendall, args=(sent,))
        sending.start()
        far, _ = listener.accept()
        with far:
            far.settimeout(PATIENCE_S)
            assert read(far, len(sent)) == sent
            sending.join()
            far.sendall(sent[:100_000])
            assert read(near, 100_000) == sent[:100_000]
            wait_until(lambda: pacer.sent_bytes == len(sent))
            assert uplink.problem == ''
            info = uplink.tcp_info()
            assert info is None or (info.segments > 0 and info.rtt_s > 0.0)
            far.sendall(b'bye')
        assert read(near, 3) == b'bye'  # what was sent before closing arrives
        assert near.recv(1) == b''


def test_the_end_of_the_near_side_closes_the_far_side() -> None:
    with far_end() as (listener, address), uplink_to(address) as uplink:
        near = near_end(uplink)
        far, _ = listener.accept()
        with far:
            far.settimeout(PATIENCE_S)
            near.close()
            with contextlib.suppress(ConnectionResetError):
                assert far.recv(1) == b''


def test_what_is_beyond_the_slot_waits_for_the_next() -> None:
    """Most of the burst leaves in a slot of ten minutes; the rest when the next begins."""
    holds: list[str] = []
    pacer = Pacer(lambda: holds.append('held'), lambda unsent: holds.append(f'{unsent} unsent'))
    pacer.start_slot(8.0 * 50_000 / 600.0, 600.0)
    with (
        far_end() as (listener, address),
        uplink_to(address, pacer) as uplink,
        near_end(uplink) as near,
    ):
        pacer.announce(60_000)
        near.sendall(bytes(60_000))
        far, _ = listener.accept()
        with far:
            far.settimeout(PATIENCE_S)
            read(far, 48_000)  # less what the slot loses before the first byte
            wait_until(lambda: pacer.holding)
            assert 48_000 <= pacer.sent_bytes <= 50_100
            assert pacer.wait_s() > 50.0
            assert pacer.start_slot(0.0, 1.0) == pacer.sent_bytes
            read(far, 12_000)
    assert pacer.sent_bytes == 60_000
    assert pacer.wait_s() == 0.0
    assert holds[0] == 'held'
    assert holds[-1].endswith(' unsent')
    assert pacer.holds == holds.count('held')


def test_a_connection_that_ends_while_it_is_held_back_lets_go() -> None:
    pacer = Pacer()
    pacer.start_slot(8.0, 60.0)
    with far_end() as (listener, address), uplink_to(address, pacer) as uplink:
        near = near_end(uplink)
        near.sendall(bytes(10_000))
        far, _ = listener.accept()
        wait_until(lambda: pacer.holding)
        near.close()
        wait_until(lambda: not pacer.holding)
        far.close()


def test_no_other_process_gets_through() -> None:
    with far_end() as (listener, address), uplink_to(address) as uplink:
        name = uplink.target.removeprefix('unix-abstract:')
        program = (
            'import socket; s = socket.socket(socket.AF_UNIX); '
            f's.connect(chr(0) + "{name}"); s.settimeout(20); print(s.recv(1))'
        )
        found = subprocess.run(
            [sys.executable, '-c', program], capture_output=True, text=True, check=True
        )
        assert found.stdout.strip() == "b''"
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_stalled_connection_is_dropped_and_one_that_moves_is_not() -> None:
    with far_end() as (listener, address), uplink_to(address) as uplink:
        near = near_end(uplink)
        far, _ = listener.accept()
        with far:
            uplink.drop_stuck()
            far.sendall(b'x')
            assert read(near, 1) == b'x'  # nothing waits: it stays
            near.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:  # until every buffer on the way is full
                    near.send(bytes(65536))
            near.settimeout(PATIENCE_S)

            def dropped() -> bool:
                uplink.drop_stuck()
                return 'gets through' in uplink.problem

            wait_until(dropped)
            with contextlib.suppress(ConnectionResetError):
                assert near.recv(1) == b''


def test_a_silent_connection_is_dropped_and_one_that_answered_is_not() -> None:
    with far_end() as (listener, address), uplink_to(address) as uplink:
        near = near_end(uplink)
        far, _ = listener.accept()
        with far:
            asked_s = time.monotonic()
            far.sendall(b'x')
            assert read(near, 1) == b'x'
            uplink.drop_silent(asked_s)
            far.sendall(b'y')
            assert read(near, 1) == b'y'
            uplink.drop_silent(time.monotonic())
            assert near.recv(1) == b''
            wait_until(lambda: uplink.problem == 'nothing gets through')


@pytest.mark.parametrize(
    ('address', 'words'),
    [
        ('host.invalid:1', "name 'host.invalid' could not be resolved"),
        ('a..b:1', "name 'a..b'"),
        ('127.0.0.1:{free}', 'connection refused'),
    ],
)
def test_why_there_is_no_connection_is_said(address: str, words: str) -> None:
    with socket.create_server(('127.0.0.1', 0)) as listener:
        free = listener.getsockname()[1]
    client = GrpcEdgeClient(address.format(free=free))
    try:
        with pytest.raises(OffloadError, match=words) as failure:
            client.probe(PATIENCE_S)
        assert failure.value.reason is FailureReason.UNAVAILABLE
    finally:
        client.close()


def test_names_are_resolved() -> None:
    with far_end() as (listener, address), contextlib.ExitStack() as stack:
        uplink = stack.enter_context(uplink_to(address.replace('127.0.0.1', 'localhost')))
        near = stack.enter_context(near_end(uplink))
        near.sendall(b'x')
        with listener.accept()[0] as far:
            far.settimeout(PATIENCE_S)
            assert read(far, 1) == b'x'


def test_addresses_that_are_none() -> None:
    with pytest.raises(InvalidValueError, match='HOST:PORT'):
        MeteredUplink('host')


def test_opening_and_closing_leaves_no_thread_and_no_file() -> None:
    def used() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir('/proc/self/fd'))

    with far_end() as (listener, address):
        for round_number in range(60):
            if round_number == 10:
                before = used()
            with uplink_to(address) as uplink, near_end(uplink) as near:
                near.sendall(b'x')
                far, _ = listener.accept()
                far.settimeout(PATIENCE_S)
                read(far, 1)
                far.close()
        wait_until(lambda: used() <= before)
