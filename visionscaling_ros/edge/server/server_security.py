"""Whom an edge server lets in, and by what it proves its own name."""

from __future__ import annotations

import contextlib
import ipaddress
import ssl
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from visionscaling_ros.edge.credentials import (
    MAX_PEM_BYTES,
    read_ca,
    read_pem,
    read_private_file,
)
from visionscaling_ros.edge.server.robot_directory import RobotDirectory
from visionscaling_ros.errors import InvalidValueError


@dataclass(frozen=True)
class ServerSecurity:
    """The files behind TLS, mutual TLS and tokens; none of them: everybody is let in.

    Raises InvalidValueError for files that need another that is missing.

    :param certificate_file: the server's certificate and what links it to the CA, PEM.
    :param key_file: its private key, PEM, readable by its owner only.
    :param client_ca_file: robots need a certificate signed by one of these, PEM.
    :param tokens_file: robots need to be in this file (:class:`RobotDirectory`).
    :param insecure: listen beyond loopback even where others could read or send along.
    """

    certificate_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    tokens_file: Path | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        if (self.certificate_file is None) != (self.key_file is None):
            given = self.certificate_file or self.key_file
            raise InvalidValueError('tls_certificate', str(given), 'with tls_key, both or neither')
        if self.client_ca_file is not None and not self.uses_tls:
            raise InvalidValueError(
                'client_ca', str(self.client_ca_file), 'with tls_certificate and tls_key'
            )

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.certificate_file is not None

    @property
    def authenticates(self) -> bool:
        """Whether robots have to prove who they are."""
        return self.tokens_file is not None or self.client_ca_file is not None

    def robots(self) -> RobotDirectory | None:
        """The robots of ``tokens_file``; raises InvalidValueError."""
        if self.tokens_file is None:
            return None
        return RobotDirectory(self.tokens_file, tokens_required=self.client_ca_file is None)

    def check_exposure(self, host: str) -> str:
        """What listening on ``host`` exposes, in words, '' for nothing.

        Raises InvalidValueError where it has to be asked for with ``insecure``.
        """
        if is_loopback(host) or (self.uses_tls and self.authenticates):
            return ''
        if self.uses_tls:
            return f'listening on {host}: whoever reaches it may use the server (no tokens)'
        if self.tokens_file is not None:
            what = 'tokens and images cross the network readable by all who see it'
        else:
            what = 'whoever reaches it may use the server and read what robots send'
        if not self.insecure:
            allowed = f'a loopback address, TLS and tokens, or --insecure: {what}'
            raise InvalidValueError('host', host, allowed)
        return f'listening on {host} without TLS: {what}'


class CertificateLoader:
    """The server's credentials, read again when told to. Raises InvalidValueError.

    New certificates are used for new connections; those there are go on.
    """

    def __init__(self, security: ServerSecurity) -> None:
        self._security = security
        self._pending: deque[Any] = deque(maxlen=1)
        self._initial = self._read()

    def credentials(self) -> Any:
        """What ``add_secure_port`` takes."""
        return grpc.dynamic_ssl_server_credentials(
            self._initial, self._take, self._security.client_ca_file is not None
        )

    def reload(self) -> None:
        """Read the files again; what was read before stays if they cannot be used."""
        self._pending.append(self._read())

    def _take(self) -> Any | None:
        # called by gRPC at every handshake, in threads of its own; None: as before
        with contextlib.suppress(IndexError):
            return self._pending.popleft()
        return None

    def _read(self) -> Any:
        certificate_file, key_file = self._security.certificate_file, self._security.key_file
        if certificate_file is None or key_file is None:
            raise InvalidValueError('tls_certificate', None, 'a file')
        key = read_private_file('tls_key', key_file, MAX_PEM_BYTES)
        chain = read_pem('tls_certificate', certificate_file)
        client_ca = self._security.client_ca_file
        _check_pair(certificate_file, key_file)
        return grpc.ssl_server_certificate_configuration(
            [(key, chain)], None if client_ca is None else read_ca('client_ca', client_ca)
        )


def _check_pair(certificate_file: Path, key_file: Path) -> None:
    """Say what is wrong with the files; gRPC would only fail every handshake."""
    try:
        # an empty password, or it would ask for one on the terminal
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate_file, key_file, '')
    except (OSError, ValueError) as error:
        raise InvalidValueError(
            'tls_certificate',
            str(certificate_file),
            f'a PEM certificate for {key_file}, which has no password ({error})',
        ) from error


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host == 'localhost':
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: who knows where it leads
        return False
