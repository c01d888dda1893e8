"""Certificates and tokens of a campaign: good ones, and those that must be refused."""

from __future__ import annotations

import datetime
import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import yaml

from visionscaling_ros.edge.credentials import ClientCredentials
from visionscaling_ros.errors import VisionScalingError

HOST = '127.0.0.1'
ROBOT_ID = 'robot'
CAMPAIGN_ID = 'campaign'


@dataclass(frozen=True)
class ServerPair:
    """A server's certificate and its key, PEM files."""

    certificate: Path
    key: Path

    def credentials(self) -> Any:
        """For ``grpc.Server.add_secure_port``."""
        return grpc.ssl_server_credentials([(self.key.read_bytes(), self.certificate.read_bytes())])


class CampaignSecrets:
    """Files in ``folder``; raises VisionScalingError where trustme is not installed."""

    def __init__(self, folder: Path) -> None:
        trustme = _trustme()
        self._folder = folder
        known, unknown = trustme.CA(), trustme.CA()
        self.ca_file = folder / 'ca.pem'
        known.cert_pem.write_to_path(str(self.ca_file))
        yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
        self.server = self._write('server', known.issue_cert(HOST))
        self.spoiled = {
            'expired': self._write('expired', known.issue_cert(HOST, not_after=yesterday)),
            'wrong-name': self._write('wrong-name', known.issue_cert('other.example')),
            'unknown-ca': self._write('unknown-ca', unknown.issue_cert(HOST)),
        }
        self.tokens_file = folder / 'tokens.yaml'
        self._tokens = {name: secrets.token_hex(16) for name in (ROBOT_ID, CAMPAIGN_ID)}
        for name, token in self._tokens.items():
            _write_private(self._token_file(name), token.encode())
        self.write_tokens()

    def write_tokens(self, *, without: str = '') -> None:
        """Write the server's list of robots; the token of ``without`` is another there."""
        robots = {
            name: {'token_sha256': [hashlib.sha256(known.encode()).hexdigest()]}
            for name, token in self._tokens.items()
            for known in [token if name != without else f'not-{token}']
        }
        _write_private(self.tokens_file, yaml.safe_dump({'robots': robots}).encode())

    def client(self, robot_id: str) -> ClientCredentials:
        """Those of a robot, or of the campaign."""
        return ClientCredentials(ca_file=self.ca_file, token_file=self._token_file(robot_id))

    def server_options(self) -> tuple[str, ...]:
        """Options of ``visionscaling edge-server``."""
        return (
            *('--tls-certificate', str(self.server.certificate)),
            *('--tls-key', str(self.server.key)),
            *('--tokens', str(self.tokens_file)),
        )

    def bridge_parameters(self) -> dict[str, str]:
        """Parameters of edge_bridge_node."""
        return {
            'robot_id': ROBOT_ID,
            'tls_ca_file': str(self.ca_file),
            'token_file': str(self._token_file(ROBOT_ID)),
        }

    def _token_file(self, name: str) -> Path:
        return self._folder / f'{name}.token'

    def _write(self, name: str, issued: Any) -> ServerPair:
        pair = ServerPair(self._folder / f'{name}.pem', self._folder / f'{name}.key')
        chain = b''.join(blob.bytes() for blob in issued.cert_chain_pems)
        pair.certificate.write_bytes(chain)
        _write_private(pair.key, issued.private_key_pem.bytes())
        return pair


def _trustme() -> ModuleType:
    try:
        import trustme  # noqa: PLC0415  (not needed on a robot)
    except ImportError as error:
        raise VisionScalingError('this needs trustme: pip install trustme') from error
    found: ModuleType = trustme
    return found


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
