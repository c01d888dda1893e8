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
BETWEEN = 'between writes'
SHORT_S = 0.01  # within one sequence of writes
LONG_S = {SETTING: 0.5, STOPPING: 0.3, STARTING: 3.0, RESTORING: 0.1, BETWEEN: 0.1}
SHORT_SHARE = 0.6
REPEATED_SHARE = 0.3
GOVERNOR_SHARE = 0.25
CROSSING_SHARE = 0.15
# Starting a node takes seconds, starting a helper does not.
TARGETS = {
    DIRECT: ((NODE,),),
    THROUGH_HELPER: ((HELPER,), (HELPER,), (NODE,), (NODE, HELPER), (HELPER, NODE)),
}
ALL = {DIRECT: (NODE,), THROUGH_HELPER: (HELPER, NODE)}
WRITERS = {DIRECT: NODE, THROUGH_HELPER: HELPER}


@dataclass(frozen=True)
class Kill:
    """One ``kill -9``.

    :param moment: SETTING: after a write, while decisions come; BETWEEN: where the writer was
        halted (SIGSTOP) between the writes to two files; STOPPING: after SIGTERM; STARTING: after
        it was started; RESTORING: after the first write of one that was started.
    :param delay_s: from that moment on; of BETWEEN from the first write on, then it is looked for.
    """

    moment: str
    delay_s: float


@dataclass(frozen=True)
class KillRound:
    """What happens between two times at which everything has to be as it was found.

    :param way: who writes, one of WAYS.
    :param targets: who is killed, in this order.
    :param kills: the first while they run, the others each while they come back.
    :param governor: somebody else writes another governor before the first kill.
    :param crossing: after the first kill the other way's processes take over, and the second kill
        is theirs.
    """

    way: str
    targets: tuple[str, ...]
    kills: tuple[Kill, ...]
    governor: bool = False
    crossing: bool = False


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
            planned = _round(way, left, chance, crossing=len(ways) > 1)
            left -= len(planned.kills)
            rounds.append(planned)
    return rounds


def _round(way: str, most: int, chance: random.Random, *, crossing: bool) -> KillRound:
    if crossing and most > 1 and chance.random() < CROSSING_SHARE:
        kills = [_kill(chance, (SETTING, BETWEEN)) for _ in range(2)]
        return KillRound(way, ALL[way], tuple(kills), crossing=True)
    targets = chance.choice(TARGETS[way])
    between = (BETWEEN,) if WRITERS[way] in targets else ()
    kills = [_kill(chance, (SETTING, SETTING, STOPPING, *between))]
    # A helper undoes what a killed node left: only its own start has something to restore.
    alone = way == THROUGH_HELPER and targets == (NODE,)
    while len(kills) < most and not alone and chance.random() < REPEATED_SHARE:
        kills.append(_kill(chance, (STARTING, RESTORING)))
    governor = chance.random() < GOVERNOR_SHARE
    return KillRound(way, targets, tuple(kills), governor)


def _kill(chance: random.Random, moments: Sequence[str]) -> Kill:
    moment = chance.choice(moments)
    short = moment != STARTING and chance.random() < SHORT_SHARE
    return Kill(moment, chance.uniform(0.0, SHORT_S if short else LONG_S[moment]))
