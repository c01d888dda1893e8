"""Who is at the other end of a Unix socket, as the kernel says it."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from collections.abc import Collection
from dataclasses import dataclass

from visionscaling_ros.errors import InvalidValueError

_UCRED = struct.Struct('iII')  # pid, uid, gid: unix(7)
_SO_PEERGROUPS = 59  # include/uapi/asm-generic/socket.h, from Linux 4.13 on
_GROUPS_BYTES = 1024  # the most that getsockopt of Python takes: 256 groups


@dataclass(frozen=True)
class Peer:
    """The process that connected, with the rights it had then."""

    pid: int
    uid: int
    gids: frozenset[int]

    def __str__(self) -> str:
        return f'process {self.pid} of user {self.uid}'


@dataclass(frozen=True)
class AllowedPeers:
    """Users and groups that may use the helper; root always may."""

    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()

    def allows(self, peer: Peer) -> bool:
        """Whether this process may."""
        return peer.uid == 0 or peer.uid in self.uids or not self.gids.isdisjoint(peer.gids)


def peer_of(connection: socket.socket) -> Peer:
    """Who connected; raises OSError."""
    pid, uid, gid = _UCRED.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    )
    return Peer(pid, uid, frozenset({gid, *_supplementary_groups(connection, uid, gid)}))


def user_number(user: str) -> int:
    """A user by name or number; raises InvalidValueError for a name that there is not."""
    try:
        return int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid
    except KeyError:
        raise InvalidValueError('--allow-user', user, 'a user of this machine') from None


def group_number(group: str) -> int:
    """A group by name or number; raises InvalidValueError for a name that there is not."""
    try:
        return int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise InvalidValueError('--allow-group', group, 'a group of this machine') from None


def _supplementary_groups(connection: socket.socket, uid: int, gid: int) -> Collection[int]:
    try:
        groups = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BYTES)
    except OSError:  # more of them, or a kernel before 4.13 as JetPack 4 has
        try:
            return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
        except KeyError:
            return ()
    return struct.unpack(f'{len(groups) // 4}I', groups)
