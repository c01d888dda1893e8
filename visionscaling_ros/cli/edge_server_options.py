"""The options of ``visionscaling edge-server``, and what they stand for."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from visionscaling_ros.edge.server.server_limits import ServerLimits
from visionscaling_ros.edge.server.server_security import ServerSecurity
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.serving.call_reader import MAX_IMAGE_PIXELS
from visionscaling_ros.vision.engines.engine import ENGINES

INFERENCE_ENGINES = ('auto', *ENGINES)
SERVER_ENGINES = ('embedded', 'ray')

# option -> field of ServerLimits, and what it bounds
LIMITS = {
    'max-message-bytes': ('message_bytes', 'bytes of a request'),
    'max-connections': ('connections', 'connections open at once'),
    'max-connections-per-address': ('connections_per_address', 'of those, from one address'),
    'max-requests': ('requests', 'requests under way at once'),
    'max-requests-per-robot': ('requests_per_robot', 'of those, of one robot'),
    'max-requests-per-second': ('requests_per_second', 'of one robot, unless --tokens says'),
    'max-models': ('models', 'models served'),
    'robots-max': ('robots', "robots counted by name in the metrics, the rest are 'other'"),
    'handshake-s': ('handshake_s', 'seconds for TLS and HTTP/2 to be set up'),
    'first-request-s': ('first_request_s', 'seconds from connecting to the first good request'),
    'receive-s': ('receive_s', 'seconds for a request to arrive'),
    'idle-s': ('idle_s', 'seconds after which an unused connection is closed'),
    'ping-interval-s': ('ping_interval_s', 'seconds between HTTP/2 pings at least'),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments, in groups."""
    parser.add_argument('--host', default='127.0.0.1', help='address to listen on (%(default)s)')
    parser.add_argument('--port', type=int, default=8001, help='0: a free one (%(default)s)')
    parser.add_argument(
        '--engine',
        type=_server_engine,
        default='embedded',
        metavar='{' + ','.join(SERVER_ENGINES) + '}',
        help='models in this process, or as replicas of Ray Serve (%(default)s)',
    )
    _add_models(parser.add_argument_group('models'))
    _add_scheduling(parser.add_argument_group('scheduling'))
    _add_security(parser.add_argument_group('security (docs/security.md)'))
    _add_replicas(parser.add_argument_group('replicas (--engine ray, docs/scaling.md)'))
    group = parser.add_argument_group('metrics')
    group.add_argument(
        '--metrics-port', type=int, metavar='PORT', help='Prometheus metrics here; 0: a free port'
    )
    group.add_argument('--metrics-host', default='127.0.0.1', help='address (%(default)s)')
    group = parser.add_argument_group('limits')
    group.add_argument(
        '--max-image-pixels',
        type=int,
        default=MAX_IMAGE_PIXELS,
        metavar='N',
        help='pixels of a compressed image (%(default)s)',
    )
    for option, (field, meaning) in LIMITS.items():
        default = getattr(ServerLimits(), field)
        group.add_argument(
            f'--{option}',
            dest=f'limit_{field}',
            type=type(default),
            default=default,
            metavar='N' if isinstance(default, int) else 'X',
            help=f'{meaning} (%(default)s)',
        )


def limits(arguments: argparse.Namespace) -> ServerLimits:
    """The limits asked for; raises InvalidValueError."""
    options = {field: option for option, (field, _) in LIMITS.items()}
    try:
        return ServerLimits(**{field: getattr(arguments, f'limit_{field}') for field in options})
    except InvalidValueError as error:
        raise InvalidValueError(f'--{options[error.name]}', error.value, error.allowed) from error


def security(arguments: argparse.Namespace) -> ServerSecurity:
    """The files asked for; raises InvalidValueError."""
    return ServerSecurity(
        certificate_file=arguments.tls_certificate,
        key_file=arguments.tls_key,
        client_ca_file=arguments.client_ca,
        tokens_file=arguments.tokens,
        insecure=arguments.insecure,
    )


def server_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments of ``EdgeServer``; raises InvalidValueError."""
    for name in ('port', 'metrics_port'):
        value = getattr(arguments, name)
        if value is not None and not 0 <= value <= 65535:
            raise InvalidValueError(f'--{name.replace("_", "-")}', value, '0 to 65535')
    if not 0.0 <= arguments.batch_delay_ms < math.inf:
        raise InvalidValueError('--batch-delay-ms', arguments.batch_delay_ms, 'a number from 0')
    return {
        'host': arguments.host,
        'port': arguments.port,
        'limits': limits(arguments),
        'security': security(arguments),
        'metrics_host': arguments.metrics_host,
        'metrics_port': arguments.metrics_port,
        'max_jobs': arguments.max_jobs,
        'max_batch': arguments.max_batch,
        'batch_delay_s': arguments.batch_delay_ms / 1000.0,
    }


def _add_models(group: Any) -> None:
    group.add_argument('--models', nargs='+', metavar='MODEL', help='models to serve (all)')
    group.add_argument(
        '--manifest', nargs='+', type=Path, default=[], metavar='FILE', help='models of your own'
    )
    group.add_argument(
        '--inference-engine',
        choices=INFERENCE_ENGINES,
        default='auto',
        help='what runs the networks (%(default)s)',
    )
    group.add_argument('--device', default='auto', help='cpu, cuda, cuda:N (%(default)s)')
    group.add_argument(
        '--half-precision', action='store_true', help='half as many bits, where the device can'
    )
    group.add_argument(
        '--threads', type=int, default=1, help='CPU threads of each worker (%(default)s)'
    )


def _add_scheduling(group: Any) -> None:
    group.add_argument(
        '--workers', type=int, default=1, help='workers, each with its own models (%(default)s)'
    )
    group.add_argument(
        '--max-batch', type=int, default=8, help='images computed together (%(default)s)'
    )
    group.add_argument(
        '--batch-delay-ms',
        type=float,
        default=2.0,
        metavar='MS',
        help='longest wait for others to join a batch, where that saves time (%(default)s)',
    )
    group.add_argument(
        '--max-jobs', type=int, default=64, help='requests waiting and running (%(default)s)'
    )


def _add_replicas(group: Any) -> None:
    group.add_argument('--min-replicas', type=int, default=1, metavar='N', help='(%(default)s)')
    group.add_argument('--max-replicas', type=int, default=2, metavar='N', help='(%(default)s)')
    group.add_argument(
        '--ongoing-per-replica',
        type=float,
        default=1.0,
        metavar='X',
        help='batches per replica above which one is added (%(default)s)',
    )
    group.add_argument(
        '--gpus-per-replica', type=float, default=0.0, metavar='X', help='(%(default)s)'
    )
    group.add_argument(
        '--ray-address', default='local', help='local, auto or HOST:PORT (%(default)s)'
    )
    group.add_argument(
        '--ray-application', default='visionscaling', metavar='NAME', help='(%(default)s)'
    )


def _add_security(group: Any) -> None:
    for option, meaning in (
        ('--tls-certificate', "the server's certificate chain, PEM"),
        ('--tls-key', 'its private key, PEM, readable by its owner only'),
        ('--client-ca', 'robots need a certificate signed by this CA, PEM'),
        ('--tokens', 'robots, their tokens and quotas, YAML; SIGHUP reloads it'),
    ):
        group.add_argument(option, type=Path, metavar='FILE', help=meaning)
    group.add_argument(
        '--insecure',
        action='store_true',
        help='listen beyond this machine without TLS or without tokens',
    )


def _server_engine(text: str) -> str:
    if text in INFERENCE_ENGINES:
        raise argparse.ArgumentTypeError(
            f'{text!r} runs networks: use --inference-engine {text}; '
            f'--engine is one of {", ".join(SERVER_ENGINES)}'
        )
    if text not in SERVER_ENGINES:
        raise argparse.ArgumentTypeError(f'{text!r}, allowed: {", ".join(SERVER_ENGINES)}')
    return text
