"""The parameters of edge_bridge_node, and what is made of them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visionscaling_ros.edge.address import format_address, parse_address
from visionscaling_ros.edge.bridge.client import GrpcEdgeClient
from visionscaling_ros.edge.credentials import ClientCredentials
from visionscaling_ros.edge.wire.tensor_model import TensorModel
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.hardware.power.radio_power import RadioPowerModel
from visionscaling_ros.nodes.inference_files import catalog_of
from visionscaling_ros.nodes.parameters import Parameter

RADIO = RadioPowerModel()
RADIO_PARAMETERS = ('radio_fixed_w', 'radio_w_per_mbps', 'radio_tail_s')
CREDENTIALS = {
    'ca_file': 'tls_ca_file',
    'certificate_file': 'tls_certificate_file',
    'key_file': 'tls_key_file',
    'token_file': 'token_file',
}
# Whatever of these changes, the servers are connected to anew.
CONNECTION_PARAMETERS = (
    'server', 'fallback_servers', 'robot_id', *CREDENTIALS.values(), 'tls_server_name',
    'model_manifests',
)  # fmt: skip

PARAMETERS = (
    Parameter('server', '127.0.0.1:8001', 'Inference server, host:port'),
    Parameter(
        'fallback_servers', [''], 'Others to use while it does not answer, the preferred first'
    ),
    Parameter(
        'robot_id', '', 'Name the servers know this robot by; empty: the one of its token or '
        "certificate, without these the node's namespace or the computer's name",
    ),
    Parameter(
        'tls_ca_file', '', 'Certificates (PEM) of who signs those of the servers; empty: no TLS'
    ),
    Parameter('tls_certificate_file', '', "The robot's own certificate (PEM); empty: none"),
    Parameter('tls_key_file', '', 'Its private key (PEM), readable by its owner only'),
    Parameter(
        'tls_server_name', '', "Name in the servers' certificates; empty: their address's host"
    ),
    Parameter(
        'token_file', '', "File with the robot's token, readable by its owner only; empty: none"
    ),
    Parameter(
        'model_manifests', [''], 'Manifests (YAML) of detectors of your own, as of inference_node: '
        'those whose tensor is sent are decoded here',
    ),
    Parameter('max_in_flight', 4, 'Requests not yet answered, at most', '', 1, 64),
    Parameter(
        'probe_interval_s', 1.0, 'Time between signs of life asked of each server while frames '
        'are sent', 's', 0.1, 60.0, read_only=True,
    ),
    Parameter(
        'idle_probe_interval_s', 60.0, 'The same while none are: each sign of life keeps the radio '
        'on for its tail', 's', 0.1, 3600.0, read_only=True,
    ),
    Parameter(
        'state_rate_hz', 5.0, 'How often link_state is published', 'Hz', 2.0, 50.0, read_only=True
    ),
    Parameter(
        'decision_timeout_s', 3.0, 'Without a decision for this long the rate ceiling is lifted',
        's', 0.1, 60.0,
    ),
    Parameter(
        'radio_fixed_w', RADIO.fixed_w, 'Power of the radio while on, tail included', 'W', 0.0, 50.0
    ),
    Parameter(
        'radio_w_per_mbps', RADIO.w_per_mbps, 'Power a rate of 1 Mbit/s adds', 'W', 0.0, 10.0
    ),
    Parameter(
        'radio_tail_s', RADIO.tail_s, 'Time the radio stays on after a transfer', 's', 0.0, 60.0
    ),
)  # fmt: skip


def check_connection(values: Mapping[str, Any]) -> None:
    """Raise InvalidValueError for addresses or files that cannot be used."""
    addresses = server_addresses(values)
    for address in addresses:
        if addresses.count(address) > 1:
            raise InvalidValueError('fallback_servers', address, 'a server that is not named twice')
    try:
        credentials = _credentials(values)
        credentials.channel_credentials()
        credentials.metadata()
    except InvalidValueError as error:
        name = CREDENTIALS.get(error.name, error.name)
        raise InvalidValueError(name, error.value, error.allowed) from error
    _tensor_models(values)


def server_addresses(values: Mapping[str, Any]) -> list[str]:
    """The servers in order of preference, in one spelling."""
    named = [('server', values['server'])]
    named += [('fallback_servers', text) for text in values['fallback_servers'] if text]
    return [format_address(*parse_address(text, name)) for name, text in named]


def robot_id(values: Mapping[str, Any], namespace: str) -> str:
    """The name a robot gives itself; empty where its token or certificate says it."""
    if values['robot_id'] or values['token_file'] or values['tls_certificate_file']:
        return str(values['robot_id'])
    return namespace.strip('/') or socket.gethostname()


def make_clients(values: Mapping[str, Any], namespace: str = '') -> list[GrpcEdgeClient]:
    """A client for each server of a node in ``namespace``; raises InvalidValueError."""
    tensor_models = _tensor_models(values)
    clients: list[GrpcEdgeClient] = []
    try:
        for address in server_addresses(values):
            clients.append(
                GrpcEdgeClient(
                    address,
                    robot_id=robot_id(values, namespace),
                    tensor_models=tensor_models,
                    credentials=_credentials(values),
                )
            )
    except InvalidValueError:
        for client in clients:
            client.close()
        raise
    return clients


def _credentials(values: Mapping[str, Any]) -> ClientCredentials:
    files = {
        field: Path(values[name]).expanduser() if values[name] else None
        for field, name in CREDENTIALS.items()
    }
    return ClientCredentials(**files, server_name=values['tls_server_name'])


def _tensor_models(values: Mapping[str, Any]) -> Mapping[str, TensorModel]:
    if not any(values['model_manifests']):  # the built-in detectors are sent JPEGs
        return {}
    from visionscaling_ros.serving.tensor_model import tensor_models  # noqa: PLC0415  (OpenCV)

    return tensor_models(catalog_of(values['model_manifests']))
