"""Certificates and tokens for tests, as files."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass
from pathlib import Path

import trustme

NOW = datetime.datetime.now(datetime.timezone.utc)


@dataclass(frozen=True)
class Pair:
    certificate: Path
    key: Path


class Authority:
    """A CA whose certificates lie in ``folder``."""

    def __init__(self, folder: Path, name: str = 'ca') -> None:
        self._ca = trustme.CA()
        self._folder = folder
        self.file = folder / f'{name}.pem'
        self._ca.cert_pem.write_to_path(str(self.file))

    def issue(self, file: str, *names: str, common_name: str | None = None, expired=False) -> Pair:
        not_after = NOW - datetime.timedelta(days=1) if expired else None
        issued = self._ca.issue_cert(*names, common_name=common_name, not_after=not_after)
        pair = Pair(self._folder / f'{file}.pem', self._folder / f'{file}.key')
        for path in (pair.certificate, pair.key):
            path.unlink(missing_ok=True)
        for blob in issued.cert_chain_pems:
            blob.write_to_path(str(pair.certificate), append=True)
        issued.private_key_pem.write_to_path(str(pair.key))
        pair.key.chmod(0o600)
        return pair


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def write_private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path
