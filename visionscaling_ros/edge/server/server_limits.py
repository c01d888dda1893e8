"""What the edge server takes at most: of one message, one peer, and all of them together."""

from __future__ import annotations

from dataclasses import dataclass, fields

from visionscaling_ros.edge.wire.protocol import MAX_MESSAGE_BYTES
from visionscaling_ros.errors import InvalidValueError

# gRPC counts with 32 bits, and in milliseconds.
MOST = 2_000_000_000
MOST_SECONDS = 2_000_000


@dataclass(frozen=True)
class ServerLimits:
    """Limits of an edge server, all above 0. Raises InvalidValueError.

    Memory for inference requests stays below ``requests * message_bytes``. Where robots prove who
    they are, "per robot" is per robot; where they do not, per network address.

    :param message_bytes: of one request.
    :param connections: open at once.
    :param connections_per_address: of those, from one address.
    :param requests: under way at once.
    :param requests_per_robot: of those, of one robot.
    :param requests_per_second: of one robot; a second's worth may come at once.
    :param robots: counted by name in the metrics, further ones together as ``other``.
    :param models: served.
    :param handshake_s: for TLS and HTTP/2 to be set up.
    :param first_request_s: from connecting to the first request that is let in.
    :param receive_s: from the beginning of a request to its end.
    :param idle_s: a connection without a request is closed.
    :param ping_interval_s: HTTP/2 pings that come faster end the connection.
    """

    message_bytes: int = MAX_MESSAGE_BYTES
    connections: int = 256
    connections_per_address: int = 64
    requests: int = 128
    requests_per_robot: int = 32
    requests_per_second: float = 1000.0
    robots: int = 64
    models: int = 64
    handshake_s: float = 5.0
    first_request_s: float = 10.0
    receive_s: float = 10.0
    idle_s: float = 300.0
    ping_interval_s: float = 5.0

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            most = MOST_SECONDS if item.name.endswith('_s') else MOST
            if not 0 < value <= most:
                raise InvalidValueError(item.name, value, f'a number above 0, at most {most}')

    def channel_options(self) -> list[tuple[str, int]]:
        """What gRPC itself enforces."""
        return [
            ('grpc.max_receive_message_length', self.message_bytes),
            ('grpc.max_send_message_length', max(self.message_bytes, MAX_MESSAGE_BYTES)),
            ('grpc.max_allowed_incoming_connections', self.connections),
            ('grpc.max_concurrent_streams', self.requests_per_robot + 8),  # and health checks
            ('grpc.max_metadata_size', 16 << 10),
            ('grpc.absolute_max_metadata_size', 32 << 10),
            ('grpc.server_handshake_timeout_ms', _milliseconds(self.handshake_s)),
            ('grpc.max_connection_idle_ms', _milliseconds(self.idle_s)),
            ('grpc.http2.min_ping_interval_without_data_ms', _milliseconds(self.ping_interval_s)),
            # A peer that vanished without a word frees its place.
            ('grpc.keepalive_time_ms', 30_000),
            ('grpc.keepalive_timeout_ms', 10_000),
        ]


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
