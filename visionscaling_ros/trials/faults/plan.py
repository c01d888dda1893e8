"""Which faults a campaign injects, in which order and for how long."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.trials.faults import (
    identity_faults,
    link_faults,
    reply_faults,
    robot_faults,
    server_faults,
)
from visionscaling_ros.trials.faults.fault import FaultKind

KINDS: dict[str, FaultKind] = {
    kind.name: kind
    for family in (server_faults, link_faults, identity_faults, reply_faults, robot_faults)
    for kind in family.KINDS
}


@dataclass(frozen=True)
class PlannedFault:
    """One fault to come, and how long it lasts [s]."""

    kind: FaultKind
    seconds: float


def plan(count: int, seed: int, only: Sequence[str] = ()) -> list[PlannedFault]:
    """``count`` faults, of all kinds (or ``only`` those) as many; raises InvalidValueError.

    Those that end a process come first, so that each process then lives through all others and
    shows what they leave behind. The rest comes in rounds of one of each kind at random, those
    that need the faulty server together.
    """
    for name in only:
        if name not in KINDS:
            raise InvalidValueError('--only', name, ', '.join(KINDS))
    if count < 1:
        raise InvalidValueError('--count', count, 'at least 1')
    kinds = [KINDS[name] for name in only or KINDS]
    chance = random.Random(seed)
    chance.shuffle(kinds)
    share, more = divmod(count, len(kinds))
    planned = [
        _lasting(kind, share + (1 if number < more else 0)) for number, kind in enumerate(kinds)
    ]
    killing = [fault for faults in planned for fault in faults if fault.kind.kills]
    chance.shuffle(killing)
    rest = [faults for faults in planned if faults and not faults[0].kind.kills]
    rounds = itertools.zip_longest(*rest)
    return killing + [fault for one in rounds for fault in _ordered(one, chance)]


def _lasting(kind: FaultKind, count: int) -> list[PlannedFault]:
    return [
        PlannedFault(kind, seconds)
        for seconds in itertools.islice(itertools.cycle(kind.seconds), count)
    ]


def _ordered(
    faults: Sequence[PlannedFault | None], chance: random.Random
) -> Iterator[PlannedFault]:
    mixed = [fault for fault in faults if fault is not None]
    chance.shuffle(mixed)
    yield from sorted(mixed, key=lambda fault: fault.kind.spoils_replies)
