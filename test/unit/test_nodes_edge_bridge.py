"""What edge_bridge_node makes of its parameters and decisions."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from edge_secrets import Authority, write_private

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.nodes.edge_bridge_parameters import (
    CONNECTION_PARAMETERS,
    PARAMETERS,
    check_connection,
    make_clients,
    robot_id,
    server_addresses,
)
from visionscaling_ros.nodes.topics import LINK_SILENCE_S


def values(**changed: Any) -> dict[str, Any]:
    return {**{parameter.name: parameter.default for parameter in PARAMETERS}, **changed}


def test_the_defaults_are_allowed() -> None:
    check_connection(values())
    assert set(CONNECTION_PARAMETERS) <= set(values())


def test_servers_are_used_in_the_order_they_are_named() -> None:
    named = values(server='a:1', fallback_servers=['', 'b:2', '[::1]:3'])
    assert server_addresses(named) == ['a:1', 'b:2', '[::1]:3']
    clients = make_clients(named)
    try:
        assert [client.address for client in clients] == ['a:1', 'b:2', '[::1]:3']
    finally:
        for client in clients:
            client.close()


def test_a_robot_without_a_name_has_that_of_its_credentials_namespace_or_computer() -> None:
    assert robot_id(values(robot_id='r7', token_file='t'), '/robot1') == 'r7'
    assert robot_id(values(token_file='t'), '/robot1') == ''
    assert robot_id(values(), '/robot1') == 'robot1'
    assert robot_id(values(), '/') == socket.gethostname()


def test_the_bridge_is_not_taken_for_silent_between_two_states() -> None:
    (rate,) = (parameter for parameter in PARAMETERS if parameter.name == 'state_rate_hz')
    assert 1.0 / rate.minimum < LINK_SILENCE_S


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('server', 'edge'),
        ('fallback_servers', ['b:2', 'c']),
        ('fallback_servers', ['127.0.0.1:8001']),  # named twice
        ('tls_ca_file', '/nowhere/ca.pem'),
        ('token_file', '/nowhere/token'),
        ('model_manifests', ['/nowhere/model.yaml']),
    ],
)
def test_what_cannot_be_used_is_named(name: str, value: Any) -> None:
    with pytest.raises(InvalidValueError) as refused:
        check_connection(values(**{name: value}))
    named = value if name == 'model_manifests' else [name]
    assert named[0] in str(refused.value)


def test_secrets_others_can_read_are_refused(tmp_path: Path) -> None:
    token = write_private(tmp_path / 'token', 'opensesame')
    check_connection(values(token_file=str(token)))
    token.chmod(0o644)
    with pytest.raises(InvalidValueError, match='chmod 600') as refused:
        check_connection(values(token_file=str(token)))
    assert 'token_file' in str(refused.value)
    assert 'opensesame' not in str(refused.value)


def test_a_certificate_needs_its_key_and_an_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue('robot', 'robot')
    given = {'tls_ca_file': str(authority.file), 'tls_certificate_file': str(pair.certificate)}
    with pytest.raises(InvalidValueError, match='tls_certificate_file'):
        check_connection(values(**given))
    check_connection(values(**given, tls_key_file=str(pair.key)))
    with pytest.raises(InvalidValueError, match='tls_ca_file'):
        check_connection(values(tls_server_name='edge.box'))
