"""What an attack is aimed at, and what attacks have in common."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc

SERVICE = 'inference.GRPCInferenceService'
INFER = f'/{SERVICE}/ModelInfer'
# calls whose messages hold a name at most
SMALL_METHODS = (
    f'/{SERVICE}/ServerLive',
    f'/{SERVICE}/ModelMetadata',
    f'/{SERVICE}/ModelStatistics',
    '/grpc.health.v1.Health/Check',
    '/grpc.health.v1.Health/Watch',
)
PATIENCE_S = 5.0
# Raw connections come from here where the target is on this machine: limits per address then
# tell them from the honest robots.
LOOPBACK_SOURCE = '127.0.0.66'
PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
SETTINGS = b'\0\0\0\4\0\0\0\0\0'


@dataclass(frozen=True)
class Target:
    """A server under attack.

    :param token: of a robot that the server knows, in the attacker's hands; '' for none.
    :param frame: a JPEG that the server serves.
    :param metrics_port: of its metrics page; 0: it has none.
    """

    host: str
    port: int
    model: str
    input_size_px: int
    frame: bytes
    token: str = ''
    metrics_port: int = 0

    @property
    def address(self) -> str:
        """``host:port``."""
        return f'{self.host}:{self.port}'

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What its requests carry."""
        return (('authorization', f'Bearer {self.token}'),) if self.token else ()

    def connect(self, port: int = 0) -> socket.socket:
        """A TCP connection; raises OSError."""
        source = (LOOPBACK_SOURCE, 0) if self.host == '127.0.0.1' else None
        return socket.create_connection((self.host, port or self.port), PATIENCE_S, source)

    @contextlib.contextmanager
    def channel(self) -> Iterator[Any]:
        """A gRPC channel with a connection of its own."""
        options = [
            ('grpc.use_local_subchannel_pool', 1),
            ('grpc.max_send_message_length', -1),
            ('grpc.max_receive_message_length', -1),
        ]
        with grpc.insecure_channel(self.address, options) as channel:
            yield channel


@dataclass(frozen=True)
class Attack:
    """One round of an attack: a seeded source of chance, and the word to stop early."""

    target: Target
    rng: random.Random
    stop: threading.Event

    def pause(self, seconds: float) -> bool:
        """Wait; true once it is time to stop."""
        return self.stop.wait(seconds)

    def infer(self, channel: Any, messages: list[bytes]) -> int:
        """Send requests at once and wait for their ends; how many there were."""
        method = channel.unary_unary(INFER)
        calls = [
            method.future(message, timeout=PATIENCE_S, metadata=self.target.metadata)
            for message in messages
        ]
        for call in calls:
            call.exception()  # its end, whatever it is
        return len(calls)
