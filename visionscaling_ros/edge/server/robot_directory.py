"""The robots an edge server knows: their tokens and what each may ask for."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from visionscaling_ros.edge.credentials import check_private
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import Fields, read_fields

ROBOT_ID = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}')
_DIGEST = re.compile('[0-9a-f]{64}')
_MOST_REQUESTS_PER_SECOND = 1e5


@dataclass(frozen=True)
class RobotEntry:
    """One robot. ``models`` None: all; ``requests_per_second`` None: the server's default.

    ``token_digests``: SHA-256 of each token it may use (two while one is replaced); none where its
    certificate says who it is.
    """

    robot_id: str
    token_digests: tuple[bytes, ...] = ()
    requests_per_second: float | None = None
    models: frozenset[str] | None = None


class RobotDirectory:
    """The entries of a file, which only its owner may read. Raises InvalidValueError.

    :param path: YAML, ``robots: {ID: {token_sha256: [HEX], requests_per_second:, models: []}}``.
    :param tokens_required: refuse entries without a token.
    """

    def __init__(self, path: Path, *, tokens_required: bool) -> None:
        self._path = path
        self._tokens_required = tokens_required
        self._entries: Mapping[str, RobotEntry] = {}
        self.reload()

    def reload(self) -> None:
        """Read the file again; what was read before stays if it cannot be used."""
        self._entries = read_robots(self._path, tokens_required=self._tokens_required)

    def get(self, robot_id: str) -> RobotEntry | None:
        """The entry of a robot whose name is proven by other means."""
        return self._entries.get(robot_id)

    def find(self, token: str) -> RobotEntry | None:
        """The robot with this token; takes as long whichever it is."""
        digest = hashlib.sha256(token.encode()).digest()
        found = None
        for entry in self._entries.values():
            for known in entry.token_digests:
                if hmac.compare_digest(known, digest):
                    found = entry
        return found


def read_robots(path: Path, *, tokens_required: bool) -> dict[str, RobotEntry]:
    """The entries of a file of robots by id; raises InvalidValueError naming file and field."""
    check_private('tokens', path)
    fields = read_fields(path, 'tokens', 'a readable YAML file of robots')
    robots = fields.mapping('robots')
    fields.done()
    entries: dict[str, RobotEntry] = {}
    owners: dict[bytes, str] = {}
    for robot_id in robots.keys():  # noqa: SIM118 Fields is no dictionary
        name = robots.name_of(robot_id)
        if not isinstance(robot_id, str) or not ROBOT_ID.fullmatch(robot_id):
            allowed = 'a text of letters, digits, dot, dash and underscore, at most 64'
            raise InvalidValueError(name, robot_id, allowed)
        entry = _read_entry(robot_id, robots.mapping(robot_id))
        if tokens_required and not entry.token_digests:
            raise InvalidValueError(f'{name}.token_sha256', None, 'present, without --client-ca')
        for digest in entry.token_digests:
            other = owners.setdefault(digest, robot_id)
            if other != robot_id:
                raise InvalidValueError(
                    f'{name}.token_sha256', digest.hex(), f'a token of its own, not that of {other}'
                )
        entries[robot_id] = entry
    return entries


def _read_entry(robot_id: str, fields: Fields) -> RobotEntry:
    digests = fields.texts('token_sha256') if fields.has('token_sha256') else ()
    for digest in digests:
        if not _DIGEST.fullmatch(digest):
            # not shown: somebody may have put the token itself there
            allowed = 'the SHA-256 of a token, 64 digits 0-9 a-f'
            raise InvalidValueError(fields.name_of('token_sha256'), '...', allowed)
    rate = None
    if fields.has('requests_per_second'):
        rate = fields.number('requests_per_second', 1e-3, _MOST_REQUESTS_PER_SECOND)
    models = frozenset(fields.texts('models')) if fields.has('models') else None
    fields.done()
    return RobotEntry(robot_id, tuple(bytes.fromhex(text) for text in digests), rate, models)
