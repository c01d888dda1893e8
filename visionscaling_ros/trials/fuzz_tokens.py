"""The robots an attacked server knows."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path

import yaml


def new_token() -> str:
    """A token as docs/security.md makes them."""
    return secrets.token_hex(32)


def write_tokens(file: Path, tokens: Mapping[str, str]) -> None:
    """Write the server's file of robots; ``tokens`` by robot."""
    robots = {
        name: {'token_sha256': [hashlib.sha256(token.encode()).hexdigest()]}
        for name, token in tokens.items()
    }
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump({'robots': robots}), encoding='utf-8')
