"""The attackers: a process of its own, so that what they cost is not the honest robots' time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

from visionscaling_ros.trials.fuzz_request_attacks import REQUEST_ATTACKS
from visionscaling_ros.trials.fuzz_socket_attacks import SOCKET_ATTACKS
from visionscaling_ros.trials.fuzz_target import Attack, Target

ATTACKS: tuple[Callable[[Attack], int], ...] = (*REQUEST_ATTACKS, *SOCKET_ATTACKS)
JOIN_S = 30.0
_NICENESS = 5
_THREADS = 3


class Attackers:
    """The other end of the attackers' process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    def collect(self) -> None:
        """Take over what they have counted since."""
        with contextlib.suppress(EOFError, OSError):
            while self._connection.poll():
                name, count, error = self._connection.recv()
                self.counts[name] += count
                if error:
                    self.errors[error] += 1


@contextlib.contextmanager
def attackers(target: Target, seed: int) -> Iterator[Attackers]:
    """Attack for as long as the context lasts."""
    context = multiprocessing.get_context('spawn')
    ours, theirs = context.Pipe()
    process = context.Process(target=_attack, args=(theirs, target, seed), daemon=True)
    process.start()
    theirs.close()
    found = Attackers(ours)
    try:
        yield found
    finally:
        with contextlib.suppress(OSError):
            ours.send('stop')
        process.join(JOIN_S)
        found.collect()
        if process.is_alive():
            process.kill()
            process.join()
        ours.close()


def _attack(parent: Connection, target: Target, seed: int) -> None:
    """Every attack in turn in several threads, each in an order of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent says when
    os.nice(_NICENESS)
    os.environ['GRPC_VERBOSITY'] = 'NONE'
    stop = threading.Event()
    lock = threading.Lock()

    def work(number: int) -> None:
        rng = random.Random(seed * _THREADS + number)
        while not stop.is_set():
            for attack in rng.sample(ATTACKS, len(ATTACKS)):
                count, error = 0, ''
                try:
                    count = attack(Attack(target, random.Random(rng.random()), stop))
                except Exception as problem:
                    error = f'{attack.__name__}: {type(problem).__name__}: {problem}'[:200]
                with lock, contextlib.suppress(OSError):
                    parent.send((attack.__name__, count, error))
                if stop.is_set():
                    return

    threads = [threading.Thread(target=work, args=(k,), daemon=True) for k in range(_THREADS)]
    for thread in threads:
        thread.start()
    with contextlib.suppress(EOFError, OSError):
        parent.recv()
    stop.set()
    for thread in threads:
        thread.join(JOIN_S / 2)
