"""Who a robot is to an inference server, and whom it trusts: the files behind a connection."""

from __future__ import annotations

import os
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from visionscaling_ros.errors import InvalidValueError

# A token is sent with every request; a longer one is a wrong file.
MAX_TOKEN_BYTES = 4096
MAX_PEM_BYTES = 1 << 20
OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class ClientCredentials:
    """What a robot needs for servers that use TLS, ask for a certificate, or ask for a token.

    The files are read when a connection is made, so that they can be replaced while the robot
    runs. Raises InvalidValueError for a certificate without its key and the other way round.

    :param ca_file: PEM certificates of those who may sign the server's; given, TLS is used.
    :param certificate_file: the robot's own certificate (mutual TLS), PEM.
    :param key_file: its private key, PEM, readable by its owner only.
    :param token_file: the robot's token, one line, readable by its owner only.
    :param server_name: the name in the server's certificate, where it is not the address's host.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    token_file: Path | None = None
    server_name: str = ''

    def __post_init__(self) -> None:
        if (self.certificate_file is None) != (self.key_file is None):
            given = self.certificate_file or self.key_file
            raise InvalidValueError(
                'certificate_file', str(given), 'a certificate and its key_file, both or neither'
            )
        if self.ca_file is None and (self.certificate_file or self.server_name):
            raise InvalidValueError('ca_file', None, 'the file of the CA, as TLS is asked for')

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted and the server has to prove its name."""
        return self.ca_file is not None

    def channel_credentials(self) -> Any | None:
        """What ``grpc.secure_channel`` takes, None without TLS; raises InvalidValueError."""
        if self.ca_file is None:
            return None
        key = certificate = None
        if self.key_file is not None and self.certificate_file is not None:
            key = read_private_file('key_file', self.key_file, MAX_PEM_BYTES)
            certificate = read_pem('certificate_file', self.certificate_file)
        return grpc.ssl_channel_credentials(read_ca('ca_file', self.ca_file), key, certificate)

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every request carries; raises InvalidValueError."""
        if self.token_file is None:
            return ()
        token = read_private_file('token_file', self.token_file, MAX_TOKEN_BYTES).strip()
        if not token or not all(0x21 <= byte <= 0x7E for byte in token):
            raise InvalidValueError(
                'token_file', str(self.token_file), 'one line of printable ASCII without spaces'
            )
        return (('authorization', f'Bearer {token.decode("ascii")}'),)


def read_pem(name: str, path: Path) -> bytes:
    """A file of PEM blocks, such as certificates; raises InvalidValueError naming ``name``."""
    content = _read(name, path, MAX_PEM_BYTES)
    if b'-----BEGIN ' not in content:
        raise InvalidValueError(name, str(path), 'a PEM file (-----BEGIN ...)')
    return content


def read_ca(name: str, path: Path) -> bytes:
    """A PEM file of certificates to trust; raises InvalidValueError naming ``name``."""
    content = read_pem(name, path)
    try:
        # gRPC would take anything, and then fail every handshake
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError as error:
        raise InvalidValueError(name, str(path), f'PEM certificates ({error})') from error
    return content


def read_private_file(name: str, path: Path, max_bytes: int) -> bytes:
    """A secret; refused with InvalidValueError when others than its owner can read or write it."""
    return _read(name, path, max_bytes, private=True)


def check_private(name: str, path: Path) -> None:
    """Raise InvalidValueError when others than its owner can read or write the file."""
    _read(name, path, MAX_PEM_BYTES, private=True)


def _read(name: str, path: Path, max_bytes: int, *, private: bool = False) -> bytes:
    try:
        with path.open('rb') as file:
            mode = os.fstat(file.fileno()).st_mode  # of what is read, not of what the name was
            if private and mode & OTHERS:
                raise InvalidValueError(
                    name,
                    f'{path} with mode {stat.S_IMODE(mode):04o}',
                    f'readable by its owner only: chmod 600 {path}',
                )
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise InvalidValueError(name, str(path), f'a readable file ({error.strerror})') from error
    if len(content) > max_bytes:
        raise InvalidValueError(name, str(path), f'at most {max_bytes} bytes')
    return content
