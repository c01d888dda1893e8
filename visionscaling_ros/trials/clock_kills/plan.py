"""Which processes are killed, when and how often."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from visionscaling_ros.errors import InvalidValueError

NODE, HELPER = 'node', 'helper'
DIRECT, THROUGH_HELPER = 'direct', 'by helper'
WAYS = (DIRECT, THROUGH_HELPER)
# What the victims are doing at the moment they are killed.
SETTING, STOPPING, STARTING, RESTORING = 'setting', 'stopping', 'starting', 'restoring'
SHORT_S = 0.01  # within one sequence of writes
LONG_S = {SETTING: 0.5, STOPPING: 0.3, STARTING: 3.0, RESTORING: 0.1}
SHORT_SHARE = 0.6
REPEATED_SHARE = 0.3
# Starting a node takes seconds, starting a helper does not.
TARGETS = {
    DIRECT: ((NODE,),),
    THROUGH_HELPER: ((HELPER,), (HELPER,), (NODE,), (NODE, HELPER), (HELPER, NODE)),
}


@dataclass(frozen=True)
class Kill:
    """One ``kill -9``.

    :param moment: SETTING: after a write, while decisions come; STOPPING: after SIGTERM; STARTING:
        after it was started; RESTORING: after the first write of one that was started.
    :param delay_s: from that moment on.
    """

    moment: str
    delay_s: float


@dataclass(frozen=True)
class KillRound:
    """What happens between two times at which everything has to be as it was found.

    :param way: who writes, one of WAYS.
    :param targets: who is killed, in this order.
    :param kills: the first while they run, the others each while they come back.
    """

    way: str
    targets: tuple[str, ...]
    kills: tuple[Kill, ...]


def plan(count: int, seed: int, ways: Sequence[str] = WAYS) -> list[KillRound]:
    """Rounds with ``count`` kills together, as many in each way; raises InvalidValueError."""
    if count < 1:
        raise InvalidValueError('--count', count, 'at least 1')
    chance = random.Random(seed)
    share, more = divmod(count, len(ways))
    rounds = []
    for number, way in enumerate(ways):
        left = share + (1 if number < more else 0)
        while left:
            planned = _round(way, left, chance)
            left -= len(planned.kills)
            rounds.append(planned)
    return rounds


def _round(way: str, most: int, chance: random.Random) -> KillRound:
    targets = chance.choice(TARGETS[way])
    kills = [_kill(chance, (SETTING, SETTING, STOPPING))]
    # A helper undoes what a killed node left: only its own start has something to restore.
    alone = way == THROUGH_HELPER and targets == (NODE,)
    while len(kills) < most and not alone and chance.random() < REPEATED_SHARE:
        kills.append(_kill(chance, (STARTING, RESTORING)))
    return KillRound(way, targets, tuple(kills))


def _kill(chance: random.Random, moments: Sequence[str]) -> Kill:
    moment = chance.choice(moments)
    short = moment != STARTING and chance.random() < SHORT_SHARE
    return Kill(moment, chance.uniform(0.0, SHORT_S if short else LONG_S[moment]))
